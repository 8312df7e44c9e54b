// The one exception type of the native side. TypeScript maps each code to a class
// (src/native/error-table.ts).
#pragma once

#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace minicpm {

enum class ErrorCode {
  kShape,        // an op was given tensors that do not fit each other
  kCheckpoint,   // bytes of a model file are not what its header promised; fields: file, tensor,
                 // expected, found
  kOutOfMemory,  // an allocation or a reservation does not fit; fields: bytes needed, bytes free,
                 // what to do
  kDevice,       // the device asked for is not there; fields: asked, then the names present
  kContext,      // tokens do not fit the sequence's capacity; fields: needed, capacity
  kState,        // a call that the object's present state does not allow
  kStorage,      // a file could not be written; fields: where, why
};

/// What went wrong, with the numbers; `message` is a sentence for people, `fields` are the facts it
/// is made of.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::vector<std::string> fields = {})
      : std::runtime_error(message), code(code), fields(std::move(fields)) {}

  const ErrorCode code;
  const std::vector<std::string> fields;
};

/// What a failed small allocation becomes (std::bad_alloc knows no numbers).
inline Error out_of_memory() {
  return Error(ErrorCode::kOutOfMemory, "An allocation failed. Close other sessions or programs.",
               {"0", "0", "Close other sessions or programs."});
}

/// What `action` threw, if anything: a failing call must end as such, never with the engine thread.
template <typename Action>
std::optional<Error> error_of(Action action) {
  try {
    action();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

inline Error storage_error(const std::string& where, const std::string& why) {
  return Error(ErrorCode::kStorage, where + " could not be written: " + why, {where, why});
}

}  // namespace minicpm
