// The stand-in's streams and events.
#include "test/ptx/runtime.h"

using namespace minicpm::ptx;

namespace {

Event* event_of(Runtime& cuda, cudaEvent_t handle) {
  const auto found = cuda.events.find(reinterpret_cast<Event*>(handle));
  return found == cuda.events.end() ? nullptr : *found;
}

/// Begins the call; null with the error where it fails or the handle is none.
Stream* begin_with(Runtime& cuda, cudaStream_t handle, cudaError_t& error) {
  error = cuda.begin();
  if (error) return nullptr;
  Stream* stream = cuda.stream_of(handle);
  if (!stream) error = cuda.end(cudaErrorInvalidResourceHandle);
  return stream;
}

Event* begin_with(Runtime& cuda, cudaEvent_t handle, cudaError_t& error) {
  error = cuda.begin();
  if (error) return nullptr;
  Event* event = event_of(cuda, handle);
  if (!event) error = cuda.end(cudaErrorInvalidResourceHandle);
  return event;
}

/// The event's stream may have been destroyed since; its tasks were finished then.
bool has_stream(const Runtime& cuda, const Event& event) {
  return event.stream == &cuda.legacy || cuda.streams.count(event.stream) > 0;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  auto* stream = new Stream;
  stream->blocking = !(flags & cudaStreamNonBlocking);
  cuda.streams.insert(stream);
  *handle = reinterpret_cast<cudaStream_t>(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* handle) {
  return cudaStreamCreateWithFlags(handle, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* handle, unsigned flags, int) {
  return cudaStreamCreateWithFlags(handle, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  Stream* stream = cuda.stream_of(handle);
  if (!stream || stream == &cuda.legacy) return cuda.end(cudaErrorInvalidResourceHandle);
  cuda.finish(*stream);
  cuda.streams.erase(stream);
  delete stream;
  return cuda.sticky;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cudaError_t error;
  Stream* stream = begin_with(cuda, handle, error);
  if (!stream) return error;
  cuda.finish(*stream);
  return cuda.sticky;
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cudaError_t error;
  Stream* stream = begin_with(cuda, handle, error);
  if (!stream) return error;
  const bool done = cuda.ask(*stream, ~0ull - 1);
  return cuda.sticky ? cuda.sticky : done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cudaError_t error;
  Stream* stream = begin_with(cuda, handle, error);
  if (!stream) return error;
  const Event* event = event_of(cuda, event_handle);
  if (!event) return cuda.end(cudaErrorInvalidResourceHandle);
  if (event->number == 0) return cudaSuccess;
  const Event recorded = *event;
  cuda.give(*stream, [&cuda, recorded] {
    if (has_stream(cuda, recorded)) cuda.finish(*recorded.stream, recorded.number);
  });
  return cuda.sticky;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  if (const cudaError_t error = cuda.begin()) return error;
  auto* event = new Event;
  cuda.events.insert(event);
  *handle = reinterpret_cast<cudaEvent_t>(event);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* handle) {
  return cudaEventCreateWithFlags(handle, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  Event* event = event_of(cuda, handle);
  if (!event) return cuda.end(cudaErrorInvalidResourceHandle);
  cuda.events.erase(event);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cudaError_t error;
  Event* event = begin_with(cuda, handle, error);
  if (!event) return error;
  Stream* stream = cuda.stream_of(stream_handle);
  if (!stream) return cuda.end(cudaErrorInvalidResourceHandle);
  event->stream = stream;
  event->reached = std::make_shared<Clock::time_point>();
  event->number = cuda.give(*stream, [reached = event->reached] { *reached = Clock::now(); });
  return cuda.sticky;
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cudaError_t error;
  Event* event = begin_with(cuda, handle, error);
  if (!event) return error;
  if (event->number && has_stream(cuda, *event)) cuda.finish(*event->stream, event->number);
  return cuda.sticky;
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cudaError_t error;
  Event* event = begin_with(cuda, handle, error);
  if (!event) return error;
  const bool done =
      event->number == 0 || !has_stream(cuda, *event) || cuda.ask(*event->stream, event->number);
  return cuda.sticky ? cuda.sticky : done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  Locked locked;
  Runtime& cuda = locked.runtime;
  cudaError_t error;
  Event* from = begin_with(cuda, start, error);
  if (!from) return error;
  const Event* to = event_of(cuda, end);
  if (!to || from->number == 0 || to->number == 0) {
    return cuda.end(cudaErrorInvalidResourceHandle);
  }
  const Clock::time_point never{};
  if (*from->reached == never || *to->reached == never) return cuda.end(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(*to->reached - *from->reached).count();
  return cudaSuccess;
}

}  // extern "C"
