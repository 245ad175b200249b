/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of the protocol server. A platform may define another value on the compiler's command line. */
#ifndef MCU_SER_SERVER_CONFIG_H
#define MCU_SER_SERVER_CONFIG_H

/* Payload bytes of the longest frame, both ways. Three buffers of about this size are static.
 * At least 212 (the HELLO answer), at most 4096 (what the host accepts). */
#ifndef SERVER_MAX_PAYLOAD
#define SERVER_MAX_PAYLOAD 512u
#endif

/* Output bytes that come with the answer to INFER; the host fetches the rest in frames of its choice. Few, so
 * that this one answer, whose loss costs most time, is a short frame that seldom gets hit. */
#ifndef SERVER_INLINE_OUTPUT
#define SERVER_INLINE_OUTPUT 64u
#endif

#endif
