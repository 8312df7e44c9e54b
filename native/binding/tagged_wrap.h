#pragma once

#include <napi.h>

namespace minicpm {

/// An ObjectWrap whose methods refuse the objects of other classes: ObjectWrap casts whatever
/// native object `this` wraps. `Binding::kTag` is the class's own number.
template <typename Binding>
class TaggedWrap : public Napi::ObjectWrap<Binding> {
 public:
  explicit TaggedWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Binding>(info) {
    info.This().As<Napi::Object>().TypeTag(&Binding::kTag);
  }

  /// What every method and getter is called through. Throws TypeError.
  static Binding* Unwrap(Napi::Object self) {
    if (!self.IsObject() || !self.CheckTypeTag(&Binding::kTag)) {
      throw Napi::TypeError::New(self.Env(),
                                 "This method was called on an object of another class.");
    }
    return Napi::ObjectWrap<Binding>::Unwrap(self);
  }
};

}  // namespace minicpm
