// The one bridge from engine work to promises.
#pragma once

#include <napi.h>

#include <memory>

#include "native/binding/environment.h"
#include "native/engine/sequence.h"

namespace minicpm {

/// How a finished call resolves.
enum class Resolution { outcome, token_event, numbers };

/// Queues `what` on the sequence and returns its promise. `callback` hears progress (a number) or
/// token events.
template <typename What>
Napi::Value run_on(Sequence& sequence, Napi::Object self, What what, Napi::Value callback,
                   Resolution resolution = Resolution::outcome);

/// Makes the listener that `run_on` submits with.
std::unique_ptr<WorkListener> promise_listener(Mailbox& mailbox, Call* call, Resolution resolution);

template <typename What>
Napi::Value run_on(Sequence& sequence, Napi::Object self, What what, Napi::Value callback,
                   Resolution resolution) {
  Mailbox& mailbox = Environment::of(self.Env()).mailbox;
  Call* call = mailbox.begin(self.Env(), self, callback);
  const Napi::Value promise = call->deferred.Promise();
  try {
    sequence.submit(std::move(what), promise_listener(mailbox, call, resolution));
  } catch (const Error& error) {
    mailbox.reject(call, error);
  }
  return promise;
}

}  // namespace minicpm
