/* SPDX-License-Identifier: Apache-2.0 */
/* The request LISTEN, and what a device that listens says unasked, in firmware that was generated with --front-end.
 *
 * Samples of the board's microphone, or of AUDIO in its place, go through a ring into the sliding window; for each
 * map that is due and not silent the model runs. */
#ifndef MCU_SER_SERVER_LISTEN_H
#define MCU_SER_SERVER_LISTEN_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "server_config.h"

/* Samples that are worked off at once, and come back in one SOUND. */
#define LISTEN_BLOCK 128u

#define LISTEN_LONGER(a, b) ((a) > (b) ? (a) : (b))
/* Payload of the longest message that listen_poll() makes. */
#define LISTEN_MOST_BYTES \
  LISTEN_LONGER(SOUND_FIELDS_BYTES + 2u * LISTEN_BLOCK, DECISION_FIELDS_BYTES + SERVER_INLINE_OUTPUT)

/* Carries out LISTEN, which ends what was listened to before. Writes the answer to `payload`. Returns 0, or the
 * `enum error_code` with which the request is to be refused, and its detail. */
int listen_start(const struct frame *request, uint8_t *payload, size_t *length, uint32_t *detail);

/* The device listens no longer. */
void listen_stop(void);

/* Whether an AUDIO is played to a device that listens to the line. */
int listen_is_for(const struct frame *audio);

/* Carries out such an AUDIO. Returns as listen_start(). */
int listen_take(const struct frame *audio, uint32_t *detail);

/* Samples of such AUDIO. */
uint32_t listen_received(void);

/* Whether the server must not read on before listen_poll() has worked off what the line has brought: it waits in the
 * port meanwhile, where the host counts it. */
int listen_holds_the_line(void);

enum listen_work {
  LISTEN_NOTHING, /* nothing to do before more samples come */
  LISTEN_WORKED,  /* call again */
  LISTEN_SAYS     /* call again, once the message is sent */
};

/* Works off a piece of what has come, which may run the model. On LISTEN_SAYS `payload` (LISTEN_MOST_BYTES), `type`
 * and `length` are a message for the host. */
enum listen_work listen_poll(uint8_t *payload, size_t *length, uint8_t *type);

#endif
