# Debian's cross compiler for 64-bit Arm: apt-get install g++-aarch64-linux-gnu qemu-user
#
#   cmake -S . -B build/aarch64 -DCMAKE_TOOLCHAIN_FILE=runtime/cpp/cmake/aarch64-linux-gnu.cmake
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# Runs what was built, the tests among it, where the emulator is there.
find_program(OFFBEAT_QEMU qemu-aarch64)
if(OFFBEAT_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${OFFBEAT_QEMU} -L /usr/aarch64-linux-gnu)
endif()
