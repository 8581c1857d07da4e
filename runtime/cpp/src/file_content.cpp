#include "file_content.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#if defined(__unix__) || defined(__APPLE__)
#define OFFBEAT_HAS_MMAP 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define OFFBEAT_HAS_MMAP 0
#include <new>
#endif

namespace offbeat {
namespace {

Error refusal(const char* path, const std::string& why) { return Error{std::string(path) + ": " + why}; }

Error too_large(const char* path, unsigned long long n_bytes, std::size_t max_bytes) {
  return refusal(path, std::to_string(n_bytes) + " bytes; expected 1 to " + std::to_string(max_bytes));
}

}  // namespace

#if OFFBEAT_HAS_MMAP

namespace {

// Closes on the way out; a mapping outlives its descriptor.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

void FileContent::Release::operator()(const std::byte* data) const noexcept {
  ::munmap(const_cast<std::byte*>(data), n_bytes);
}

Result<FileContent> FileContent::open(const char* path, std::size_t max_bytes) {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const Descriptor file{::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status {};
  if (file.number < 0 || ::fstat(file.number, &status) != 0) return refusal(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return refusal(path, "not a regular file");
  const auto n_bytes = static_cast<unsigned long long>(status.st_size);
  if (n_bytes == 0 || n_bytes > max_bytes) return too_large(path, n_bytes, max_bytes);
  void* const data = ::mmap(nullptr, static_cast<std::size_t>(n_bytes), PROT_READ, MAP_PRIVATE, file.number, 0);
  if (data == MAP_FAILED) return refusal(path, std::strerror(errno));
  return FileContent(static_cast<const std::byte*>(data), static_cast<std::size_t>(n_bytes));
}

#else

void FileContent::Release::operator()(const std::byte* data) const noexcept {
  ::operator delete(const_cast<std::byte*>(data), std::align_val_t{64});
}

Result<FileContent> FileContent::open(const char* path, std::size_t max_bytes) {
  struct Closing {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Closing> file(std::fopen(path, "rb"));
  if (file == nullptr || std::fseek(file.get(), 0, SEEK_END) != 0) return refusal(path, std::strerror(errno));
  const long end = std::ftell(file.get());
  const auto n_bytes = static_cast<unsigned long long>(end < 0 ? 0 : end);
  if (n_bytes == 0 || n_bytes > max_bytes) return too_large(path, n_bytes, max_bytes);
  std::rewind(file.get());
  void* const data = ::operator new(static_cast<std::size_t>(n_bytes), std::align_val_t{64}, std::nothrow);
  if (data == nullptr) return refusal(path, "no memory for its content");
  FileContent content(static_cast<const std::byte*>(data), static_cast<std::size_t>(n_bytes));
  if (std::fread(data, 1, static_cast<std::size_t>(n_bytes), file.get()) != n_bytes) return refusal(path, "changed while it was read");
  return content;
}

#endif

}  // namespace offbeat
