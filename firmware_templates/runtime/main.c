/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"
#include "port.h"
#include "server.h"

int main(void) {
  port_init();
  server_init(engine_init());
  for (;;) {
    server_poll();
  }
}
