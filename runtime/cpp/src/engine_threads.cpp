#include "engine_threads.h"

#include <system_error>

namespace offbeat {

ThreadPool::ThreadPool(std::size_t n_threads) {
  threads_.reserve(n_threads - 1);
  try {
    for (std::size_t thread = 1; thread < n_threads; ++thread) threads_.emplace_back([this, thread] { serve(thread); });
  } catch (const std::system_error&) {
    // The system gives no more: those that are there share the work.
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  has_job_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool ThreadPool::run(void (*job)(const void*, std::size_t) noexcept, const void* context) noexcept {
  const std::unique_lock taken(is_taken_, std::try_to_lock);
  if (!taken.owns_lock()) return false;
  {
    const std::lock_guard lock(mutex_);
    job_ = job;
    context_ = context;
    n_running_ = threads_.size();
    ++n_jobs_;
  }
  has_job_.notify_all();
  job(context, 0);
  std::unique_lock lock(mutex_);
  is_done_.wait(lock, [this] { return n_running_ == 0; });
  return true;
}

void ThreadPool::serve(std::size_t thread) noexcept {
  std::size_t n_seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    has_job_.wait(lock, [&] { return is_over_ || n_jobs_ != n_seen; });
    if (is_over_) return;
    n_seen = n_jobs_;
    lock.unlock();
    job_(context_, thread);
    lock.lock();
    if (--n_running_ == 0) is_done_.notify_one();
  }
}

}  // namespace offbeat
