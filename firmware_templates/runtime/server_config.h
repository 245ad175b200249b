/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of the protocol server. A platform may define another value on the compiler's command line. */
#ifndef MCU_SER_SERVER_CONFIG_H
#define MCU_SER_SERVER_CONFIG_H

/* Payload bytes of the longest frame, both ways. Three buffers of about this size are static.
 * At least 208 (the HELLO answer), at most 4096 (what the host accepts). */
#ifndef SERVER_MAX_PAYLOAD
#define SERVER_MAX_PAYLOAD 512u
#endif

#endif
