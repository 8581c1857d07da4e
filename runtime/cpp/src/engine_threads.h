#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace offbeat {

/// A pool of threads that run one job at a time, the caller being the first of them.
class ThreadPool {
 public:
  /// n_threads counts the caller.
  explicit ThreadPool(std::size_t n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] std::size_t n_threads() const noexcept { return threads_.size() + 1; }

  /// Calls job(context, thread) on every thread, thread in [0, n_threads), and returns when all are through. False, and nothing is
  /// done, where the pool is busy with another caller's job.
  bool run(void (*job)(const void* context, std::size_t thread) noexcept, const void* context) noexcept;

 private:
  void serve(std::size_t thread) noexcept;

  std::mutex is_taken_;
  std::mutex mutex_;
  std::condition_variable has_job_;
  std::condition_variable is_done_;
  void (*job_)(const void*, std::size_t) noexcept = nullptr;
  const void* context_ = nullptr;
  std::size_t n_jobs_ = 0;
  std::size_t n_running_ = 0;
  bool is_over_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace offbeat
