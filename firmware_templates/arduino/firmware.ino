// SPDX-License-Identifier: Apache-2.0
// The sketch: a server that runs the model for the host. What it does is in src/.

#undef abs  // Arduino.h's macro, which no C++ header that uses std::abs survives

#include "src/engine.h"
#include "src/port.h"
#include "src/server.h"

void setup() {
  port_init();
  server_init(engine_init());
}

void loop() { server_poll(); }
