/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's port as a native program: the serial line is a TCP connection on the loopback interface.
 *
 * One client at a time; when it leaves, the next one is accepted. The program prints one line,
 * "listening 127.0.0.1:PORT", when it is ready. A reset replaces the process by itself: memory starts afresh
 * and the connection stays, as a board's USB-to-UART bridge stays when the board restarts.
 *
 * Environment: MCU_SER_TCP_PORT is the port to listen on (default 0: any free one);
 * MCU_SER_RESUME is how a reset hands its sockets on, "LISTENER CLIENT" (for this file's own use). */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "port.h"

/* The kernel holds far more and makes the sender wait, so this only sizes the host's window. */
#define RX_BUFFER_BYTES 16384u
#define NO_CLIENT (-1)

static int listener;
static int client = NO_CLIENT;
static enum port_reset_cause reset_cause = PORT_RESET_POWER_ON;

static void die(const char *what) {
  fprintf(stderr, "port_host: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

/* The number at the start of `text`, which must be from `low` to `high`; `rest` is what follows it. */
static long number_from(const char *text, long low, long high, char **rest) {
  long value;
  errno = 0;
  value = strtol(text, rest, 10);
  if (*rest == text || errno != 0 || value < low || value > high) {
    errno = EINVAL;
    die(text);
  }
  return value;
}

static void start_listening(void) {
  const char *text = getenv("MCU_SER_TCP_PORT");
  const int on = 1;
  char *rest;
  struct sockaddr_in address;
  socklen_t length = sizeof address;

  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)(text == NULL ? 0 : number_from(text, 0, 65535, &rest)));
  listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
    die("cannot listen on the loopback interface");
  }
  printf("listening 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
  fflush(stdout);
}

static void accept_client(void) {
  const int on = 1;
  client = accept(listener, NULL, NULL);
  if (client < 0) {
    client = NO_CLIENT;
    if (errno != EINTR && errno != ECONNABORTED) {
      die("accept");
    }
    return;
  }
  /* Answers are small and the host waits for each of them. */
  (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fcntl(client, F_SETFL, fcntl(client, F_GETFL) | O_NONBLOCK) != 0) {
    die("fcntl");
  }
}

static void drop_client(void) {
  (void)close(client);
  client = NO_CLIENT;
}

static void wait_for(int descriptor, short events) {
  struct pollfd wanted = {descriptor, events, 0};
  if (poll(&wanted, 1, -1) < 0 && errno != EINTR) {
    die("poll");
  }
}

void port_init(void) {
  const char *resume = getenv("MCU_SER_RESUME");
  char *rest;
  if (resume == NULL) {
    start_listening();
    accept_client(); /* the BOOT message needs somebody to read it */
    return;
  }
  listener = (int)number_from(resume, 0, 65535, &rest);
  client = (int)number_from(rest, NO_CLIENT, 65535, &rest);
  reset_cause = PORT_RESET_SOFTWARE;
  (void)unsetenv("MCU_SER_RESUME");
}

size_t port_read(uint8_t *dst, size_t max) {
  ssize_t length;
  if (client == NO_CLIENT) {
    return 0;
  }
  length = recv(client, dst, max, 0);
  if (length > 0) {
    return (size_t)length;
  }
  if (length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
    drop_client();
  }
  return 0;
}

void port_write(const uint8_t *src, size_t length) {
  while (length > 0 && client != NO_CLIENT) {
    const ssize_t sent = send(client, src, length, MSG_NOSIGNAL);
    if (sent >= 0) {
      src += sent;
      length -= (size_t)sent;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait_for(client, POLLOUT);
    } else if (errno != EINTR) {
      drop_client(); /* what is left is lost, as on a line that nobody reads */
    }
  }
}

void port_wait(void) {
  if (client == NO_CLIENT) {
    accept_client();
  } else {
    wait_for(client, POLLIN);
  }
}

uint32_t port_ticks(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
}

enum port_tick_source port_tick_source(void) { return PORT_TICKS_HOST; }

uint32_t port_tick_hz(void) { return 1000000000u; }

uint32_t port_core_hz(void) { return 0; }

enum port_reset_cause port_reset_cause(void) { return reset_cause; }

void port_reset(void) {
  char resume[32];
  char *const arguments[] = {(char *)"firmware", NULL};
  (void)snprintf(resume, sizeof resume, "%d %d", listener, client);
  if (setenv("MCU_SER_RESUME", resume, 1) != 0) {
    die("setenv");
  }
  (void)execv("/proc/self/exe", arguments);
  die("cannot restart");
}

/* A fault ends the process; whoever started it sees the signal. */
int port_fault_record(struct port_fault *fault) {
  (void)fault;
  return 0;
}

uint32_t port_rx_buffer_bytes(void) { return RX_BUFFER_BYTES; }

uint32_t port_rx_overruns(void) { return 0; }

uint32_t port_stack_bytes(void) { return 0; }

uint32_t port_stack_high_water(void) { return 0; }
