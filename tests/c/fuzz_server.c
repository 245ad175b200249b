/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds the firmware's server with what no host would send, for the sanitizers to watch, and checks that
 *   - whatever it sends is whole frames, each an answer, none longer than it may be;
 *   - no damaged frame is taken for a whole one: what the decoder finds in a damaged stream was sent;
 *   - after any of it, a host that opens a session gets the right answer to an inference.
 *
 * Arguments: number of inputs, seed. Ends with abort() on the first failure. Inputs are good requests, requests with
 * any length and content but a right CRC-32, both with damage, and plain noise. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32.h"
#include "engine.h"
#include "frame.h"
#include "le_bytes.h"
#include "model_info.h"
#include "port.h"
#include "server.h"
#include "server_config.h"

#define PROBE_EVERY 50u /* inputs between two checks that the server still works */
#define MAX_FRAMES 6u   /* in one input */
#define MAX_STREAM 6000u

static jmp_buf restart;
static uint32_t random_state;

/* The line: what the server reads, and what it has answered. */
static const uint8_t *rx;
static size_t rx_left;
static struct frame_decoder answers;
static struct frame last_answer;
static uint8_t last_payload[SERVER_MAX_PAYLOAD];

/* The conversation of a host that knows where it is. */
static uint32_t session;
static uint16_t seq;
static uint8_t last_type;
static uint32_t input_crc;

/* The audio that a good host is at: its length or 0 for a stream, what has been sent of it, and its CRC-32. */
static struct {
  uint32_t samples, sent, crc;
} audio;

/* What the server has decided while it listened. */
static uint8_t last_decision[SERVER_MAX_PAYLOAD];

static struct {
  unsigned long answered, accepted, restarts, probes, decisions;
} count;

static void fail(const char *what) {
  fprintf(stderr, "fuzz_server: %s\n", what);
  abort();
}

/* xorshift32 (Marsaglia 2003). */
static uint32_t draw(uint32_t below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state % below;
}

size_t port_read(uint8_t *dst, size_t max) {
  const size_t length = rx_left < max ? rx_left : max;
  memcpy(dst, rx, length);
  rx += length;
  rx_left -= length;
  return length;
}

static void note_decision(void) {
  count.decisions++;
  memcpy(last_decision, last_payload, last_answer.length);
  if (le_get_u32(last_decision + DECISION_AT_LOST_BLOCKS) != 0) {
    fail("a block was lost that the line could have held back");
  }
}

void port_write(const uint8_t *src, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    switch (frame_decoder_push(&answers, src[i], &last_answer)) {
      case FRAME_GOOD:
        if ((last_answer.type & PROTOCOL_ANSWER) == 0 || last_answer.version != PROTOCOL_VERSION) {
          fail("the server sent what is no answer");
        }
        memcpy(last_payload, last_answer.payload, last_answer.length);
        last_answer.payload = last_payload;
        if (last_answer.type == MESSAGE_NACK && last_answer.session == session) {
          seq = le_get_u16(last_payload + NACK_AT_NEXT_SEQ); /* or nothing would ever be carried out again */
        }
        count.answered++;
        if (last_answer.type == MESSAGE_DECISION) {
          note_decision();
        }
        break;
      case FRAME_BAD: fail("the server sent a damaged frame"); break;
      case FRAME_NONE: break;
    }
  }
}

void port_wait(void) {}
uint32_t port_ticks(void) { return 0; }
enum port_tick_source port_tick_source(void) { return PORT_TICKS_NONE; }
uint32_t port_tick_hz(void) { return 0; }
uint32_t port_core_hz(void) { return 0; }
enum port_reset_cause port_reset_cause(void) { return PORT_RESET_UNKNOWN; }
void port_reset(void) { longjmp(restart, 1); }
uint32_t port_rx_buffer_bytes(void) { return 2048; }
uint32_t port_rx_overruns(void) { return 0; }
uint32_t port_stack_bytes(void) { return 0; }
uint32_t port_stack_high_water(void) { return 0; }
int port_fault_record(struct port_fault *fault) {
  (void)fault;
  return 0;
}

/* Lets the server read `length` bytes; a restart loses what it has not read yet, as a board would. */
static void feed(const uint8_t *bytes, size_t length) {
  rx = bytes;
  rx_left = length;
  if (setjmp(restart) != 0) {
    count.restarts++;
    rx_left = 0;
    server_init(engine_init());
  }
  while (rx_left > 0) {
    server_poll();
  }
}

struct request {
  uint8_t payload[SERVER_MAX_PAYLOAD];
  struct frame frame;
};

static void fill(uint8_t *dst, size_t length) {
  /* Few values make zeros and long runs likely, and so every branch of COBS. */
  const uint32_t values = draw(3) == 0 ? 2u : 256u;
  for (size_t i = 0; i < length; ++i) {
    dst[i] = (uint8_t)draw(values);
  }
}

/* A number near one of the limits that it may be checked against, or any. */
static uint32_t edge(void) {
  static const uint32_t limits[] = {0, 1, MODEL_INPUT_BYTES, MODEL_OUTPUT_BYTES, SERVER_MAX_PAYLOAD, MODEL_LAYERS,
                                    4096, 0x7FFFFFFFu, 0xFFFFFFFFu};
  const uint32_t any = draw(0xFFFFFFFFu);
  return draw(4) == 0 ? any : limits[draw(sizeof limits / sizeof *limits)] + draw(5) - 2u;
}

/* What a good host often sends next, so that the server gets to its deeper states. */
static uint8_t next_type(void) {
  static const uint8_t types[] = {MESSAGE_INPUT, MESSAGE_INPUT_PACKED, MESSAGE_INFER, MESSAGE_OUTPUT, MESSAGE_STATS,
                                  MESSAGE_ECHO,  MESSAGE_ARENA, MESSAGE_LAYERS, MESSAGE_TENSOR, MESSAGE_HELLO,
                                  MESSAGE_AUDIO, MESSAGE_HEAR, MESSAGE_FEATURE_MAP, MESSAGE_LISTEN};
  if (last_type == 0) {
    return MESSAGE_HELLO;
  }
  if (draw(4) == 0) {
    return types[draw(sizeof types)];
  }
  switch (last_type) {
    case MESSAGE_HELLO:
      return draw(3) == 0   ? MESSAGE_LISTEN
             : draw(2) == 0 ? MESSAGE_AUDIO
             : draw(2) == 0 ? MESSAGE_INPUT
                            : MESSAGE_INPUT_PACKED;
    case MESSAGE_LISTEN: return MESSAGE_AUDIO;
    case MESSAGE_AUDIO: return audio.sent < audio.samples || draw(4) == 0 ? MESSAGE_AUDIO : MESSAGE_HEAR;
    case MESSAGE_HEAR: return draw(2) == 0 ? MESSAGE_FEATURE_MAP : MESSAGE_AUDIO;
    case MESSAGE_INPUT:
    case MESSAGE_INPUT_PACKED: return draw(2) == 0 ? MESSAGE_INFER : MESSAGE_LAYERS;
    case MESSAGE_INFER: return MESSAGE_OUTPUT;
    case MESSAGE_LAYERS: return MESSAGE_TENSOR;
    default: return types[draw(sizeof types)];
  }
}

/* Writes the bits of a stream, most significant first; `at` is where the next one goes. */
static void put_bits(uint8_t *stream, size_t *at, uint32_t value, unsigned bits) {
  while (bits-- > 0) {
    stream[*at / 8] = (uint8_t)(stream[*at / 8] | (value >> bits & 1u) << (7u - *at % 8));
    ++*at;
  }
}

static int known(const uint8_t *input, size_t at, size_t distance) {
  return at < distance ? 0 : (int8_t)input[at - distance];
}

static int median(int a, int b, int c) {
  return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

/* INPUT_PACKED of a whole input, as PROTOCOL.md has it, with parameters that are seldom the best. Returns the
 * length of the payload; no parameter below 3, so that it fits. */
static size_t pack(uint8_t *payload, const uint8_t *input) {
  const size_t left = 1 + draw(3), above = 1 + draw(MODEL_INPUT_BYTES);
  uint8_t *const stream = payload + INPUT_PACKED_FIELDS_BYTES;
  size_t at = 0;
  unsigned low_bits = 0;
  memset(payload, 0, SERVER_MAX_PAYLOAD);
  le_put_u16(payload + INPUT_PACKED_AT_COUNT, MODEL_INPUT_BYTES);
  le_put_u16(payload + INPUT_PACKED_AT_ABOVE, (uint16_t)above);
  payload[INPUT_PACKED_AT_LEFT] = (uint8_t)left;
  for (size_t i = 0; i < MODEL_INPUT_BYTES; ++i) {
    const int a = known(input, i, left), b = known(input, i, above), c = known(input, i, left + above);
    const int difference = (int8_t)(uint8_t)(input[i] - median(a, b, a + b - c));
    const uint32_t code = (uint32_t)(difference < 0 ? -2 * difference - 1 : 2 * difference);
    if (i % PACKED_BLOCK_VALUES == 0) {
      low_bits = 3 + draw(5);
      put_bits(stream, &at, low_bits, PACKED_PARAMETER_BITS);
    }
    if (low_bits < 7) {
      at += code >> low_bits;
      put_bits(stream, &at, 1, 1);
      put_bits(stream, &at, code, low_bits);
    } else {
      put_bits(stream, &at, code, 8);
    }
  }
  return INPUT_PACKED_FIELDS_BYTES + (at + 7) / 8;
}

/* AUDIO that begins with something new or goes on. Returns the length of the payload. */
static size_t speak(uint8_t *payload) {
  const uint32_t most = (SERVER_MAX_PAYLOAD - AUDIO_FIELDS_BYTES) / 2u;
  uint32_t count = 1 + draw(most);
  if (last_type == MESSAGE_LISTEN) {
    memset(&audio, 0, sizeof audio); /* what is played is a stream */
  } else if (last_type != MESSAGE_AUDIO || audio.sent == 0 || (audio.samples != 0 && audio.sent == audio.samples)) {
    audio.samples = draw(3) == 0 ? 0 : 1 + draw(3u * most);
    audio.sent = 0;
    audio.crc = 0;
  }
  if (audio.samples != 0 && count > audio.samples - audio.sent) {
    count = audio.samples - audio.sent;
  }
  le_put_u32(payload + AUDIO_AT_OFFSET, audio.sent);
  le_put_u32(payload + AUDIO_AT_SAMPLES, audio.samples);
  fill(payload + AUDIO_FIELDS_BYTES, 2u * count);
  audio.sent += count;
  audio.crc = crc32_update(audio.crc, payload + AUDIO_FIELDS_BYTES, 2u * count);
  return AUDIO_FIELDS_BYTES + 2u * count;
}

/* The request that continues the conversation. */
static void make_good(struct request *request) {
  uint8_t *const p = request->payload;
  const uint8_t type = next_type();
  size_t length = 0;
  memset(p, 0, 16);
  switch (type) {
    case MESSAGE_INPUT:
      length = INPUT_FIELDS_BYTES + MODEL_INPUT_BYTES;
      fill(p + INPUT_FIELDS_BYTES, MODEL_INPUT_BYTES);
      input_crc = crc32_update(0, p + INPUT_FIELDS_BYTES, MODEL_INPUT_BYTES);
      break;
    case MESSAGE_INPUT_PACKED: {
      uint8_t input[MODEL_INPUT_BYTES];
      fill(input, sizeof input);
      length = pack(p, input);
      input_crc = crc32_update(0, input, sizeof input);
      break;
    }
    case MESSAGE_INFER:
      length = INFER_FIELDS_BYTES;
      le_put_u32(p + INFER_AT_INPUT_CRC, input_crc);
      break;
    case MESSAGE_LAYERS:
      length = LAYERS_FIELDS_BYTES;
      le_put_u32(p + LAYERS_AT_INPUT_CRC, input_crc);
      le_put_u32(p + LAYERS_AT_LAST, draw(MODEL_LAYERS));
      break;
    case MESSAGE_TENSOR:
      length = TENSOR_FIELDS_BYTES;
      le_put_u32(p + TENSOR_AT_LAYER, draw(MODEL_LAYERS));
      le_put_u32(p + TENSOR_AT_LENGTH, draw(400));
      break;
    case MESSAGE_OUTPUT:
      length = OUTPUT_FIELDS_BYTES;
      le_put_u32(p + OUTPUT_AT_LENGTH, draw(MODEL_OUTPUT_BYTES));
      break;
    case MESSAGE_AUDIO: length = speak(p); break;
    case MESSAGE_HEAR:
      length = HEAR_FIELDS_BYTES;
      le_put_u32(p + HEAR_AT_AUDIO_CRC, audio.crc);
      break;
    case MESSAGE_FEATURE_MAP:
      length = FEATURE_MAP_FIELDS_BYTES;
      le_put_u32(p + FEATURE_MAP_AT_LENGTH, draw(4) == 0 ? edge() : draw(MODEL_INPUT_BYTES + 1u));
      break;
    case MESSAGE_LISTEN:
      length = LISTEN_FIELDS_BYTES;
      p[LISTEN_AT_SOURCE] = draw(4) == 0 ? (uint8_t)draw(4) : LISTEN_LINE;
      p[LISTEN_AT_FLAGS] = (uint8_t)draw(2);
      p[LISTEN_AT_PERIOD] = (uint8_t)(draw(8) == 0 ? 0u : 1u + draw(4));
      p[LISTEN_AT_GATE_HOPS] = (uint8_t)draw(4);
      le_put_u32(p + LISTEN_AT_GATE_POWER, edge());
      break;
    case MESSAGE_ARENA:
      length = ARENA_FIELDS_BYTES;
      le_put_u32(p, draw(4097));
      break;
    case MESSAGE_ECHO:
      length = draw(SERVER_MAX_PAYLOAD + 1u);
      fill(p, length);
      break;
    default: break;
  }
  if (type == MESSAGE_HELLO) {
    session = draw(0xFFFFFFFFu) + 1u;
    seq = (uint16_t)draw(0x10000u);
  }
  last_type = type;
  request->frame = (struct frame){PROTOCOL_VERSION, type, session, seq++, (uint16_t)length, p};
}

/* Turns a good request into one that no host would send; its CRC-32 will be right. */
static void distort(struct request *request) {
  struct frame *const frame = &request->frame;
  switch (draw(6)) {
    case 0: frame->type = (uint8_t)draw(256); break;
    case 1: frame->seq = (uint16_t)(frame->seq + draw(5) - 2u); break;
    case 2: frame->session = draw(2) == 0 ? 0 : session + 1u; break;
    case 3: {
      const size_t length = draw(SERVER_MAX_PAYLOAD + 1u);
      if (length > frame->length) {
        fill(request->payload + frame->length, length - frame->length);
      }
      frame->length = (uint16_t)length;
      break;
    }
    case 4: frame->version = (uint8_t)draw(256); break;
    default:
      for (size_t at = 0; at + 4 <= frame->length && at < 16; at += 4) {
        if (draw(2) == 0) {
          le_put_u32(request->payload + at, edge());
        }
      }
  }
}

/* Does to the bytes of a stream what lines do; returns its new length. */
static size_t damage(uint8_t *stream, size_t length) {
  for (uint32_t times = 1 + draw(3); times > 0 && length > 0; --times) {
    const size_t at = draw((uint32_t)length);
    const size_t piece = 1 + draw(20) < length - at ? 1 + draw(20) : 1;
    switch (draw(5)) {
      case 0: stream[at] = (uint8_t)(stream[at] ^ (1u << draw(8))); break;
      case 1: stream[at] = (uint8_t)draw(256); break;
      case 2:
        if (at + piece <= length) {
          memmove(stream + at, stream + at + piece, length - at - piece);
          length -= piece;
        }
        break;
      case 3:
        if (at + piece <= length && length + piece <= MAX_STREAM) {
          memmove(stream + at + piece, stream + at, length - at);
          length += piece;
        }
        break;
      default: length = at;
    }
  }
  return length;
}

/* Whether `frame` is one of those that were sent. */
static int was_sent(const struct frame *frame, const uint8_t *const *sent, const size_t *sent_bytes, size_t frames) {
  uint8_t wire[FRAME_WIRE_BYTES(SERVER_MAX_PAYLOAD)];
  const size_t length = frame_encode(wire, frame);
  for (size_t i = 0; i < frames; ++i) {
    if (sent_bytes[i] == length && memcmp(sent[i], wire, length) == 0) {
      return 1;
    }
  }
  return 0;
}

static void check_decoder(const uint8_t *stream, size_t length, const uint8_t *const *sent, const size_t *sent_bytes,
                          size_t frames) {
  struct frame_decoder decoder;
  struct frame frame;
  frame_decoder_init(&decoder);
  for (size_t i = 0; i < length; ++i) {
    if (frame_decoder_push(&decoder, stream[i], &frame) == FRAME_GOOD) {
      count.accepted++;
      if (!was_sent(&frame, sent, sent_bytes, frames)) {
        fail("a frame was found that nobody sent");
      }
    }
  }
}

static void one_input(void) {
  static uint8_t wires[MAX_FRAMES][FRAME_WIRE_BYTES(SERVER_MAX_PAYLOAD)];
  const uint8_t *sent[MAX_FRAMES];
  size_t sent_bytes[MAX_FRAMES];
  uint8_t *stream = malloc(MAX_STREAM); /* on the heap, so that the sanitizer sees a byte too many */
  const size_t frames = draw(8) == 0 ? 0 : 1 + draw(MAX_FRAMES);
  size_t length = 0;
  if (stream == NULL) {
    fail("out of memory");
  }
  for (size_t i = 0; i < frames; ++i) {
    struct request request;
    const int opens = i == 0 && draw(2) == 0;
    if (opens) {
      last_type = 0; /* a session, or the server soon refuses everything as out of sequence */
    }
    make_good(&request);
    if (!opens && draw(4) == 0) {
      distort(&request);
    }
    sent[i] = wires[i];
    sent_bytes[i] = frame_encode(wires[i], &request.frame);
    memcpy(stream + length, wires[i], sent_bytes[i]);
    length += sent_bytes[i];
  }
  if (frames == 0) {
    length = draw(1500);
    fill(stream, length);
  } else if (draw(2) == 0) {
    length = damage(stream, length);
  }
  check_decoder(stream, length, sent, sent_bytes, frames);
  feed(stream, length);
  free(stream);
}

/* Sends a request as a good host does, and returns whether the answer is `type`. */
static int ask(uint8_t type, const uint8_t *payload, size_t length) {
  uint8_t wire[FRAME_WIRE_BYTES(SERVER_MAX_PAYLOAD)];
  const struct frame frame = {PROTOCOL_VERSION, type, session, seq++, (uint16_t)length, payload};
  memset(&last_answer, 0, sizeof last_answer);
  feed(wire, frame_encode(wire, &frame));
  return last_answer.type == (type | PROTOCOL_ANSWER) && last_answer.session == session &&
         last_answer.seq == frame.seq;
}

/* What the obedient engine gives for an input (obedient_engine.c). */
static uint8_t expected(const uint8_t *input, uint32_t index) {
  uint32_t hash = index;
  for (size_t k = 0; k < MODEL_INPUT_BYTES; ++k) {
    hash = hash * 31u + input[k];
  }
  return (uint8_t)(hash >> 24);
}

/* A clip of always the same samples must always give the same features, and these their output. */
static void probe_hearing(void) {
  static uint32_t features_crc, known;
  const uint32_t samples = 240;
  uint8_t payload[SERVER_MAX_PAYLOAD] = {0};
  uint8_t output[SERVER_INLINE_OUTPUT];
  le_put_u32(payload + AUDIO_AT_SAMPLES, samples);
  for (uint32_t i = 0; i < samples; ++i) {
    le_put_u16(payload + AUDIO_FIELDS_BYTES + 2u * i, (uint16_t)(i * i * 97u));
  }
  if (!ask(MESSAGE_AUDIO, payload, AUDIO_FIELDS_BYTES + 2u * samples)) {
    fail("no answer to AUDIO");
  }
  le_put_u32(payload + HEAR_AT_AUDIO_CRC, crc32_update(0, payload + AUDIO_FIELDS_BYTES, 2u * samples));
  le_put_u32(payload + HEAR_AT_SAMPLE, 0);
  if (!ask(MESSAGE_HEAR, payload, HEAR_FIELDS_BYTES)) {
    fail("no answer to HEAR");
  }
  memcpy(output, last_payload + HEAR_ANSWER_FIELDS_BYTES, sizeof output);
  if (known++ != 0 && le_get_u32(last_payload + HEAR_ANSWER_AT_FEATURES_CRC) != features_crc) {
    fail("other features");
  }
  features_crc = le_get_u32(last_payload + HEAR_ANSWER_AT_FEATURES_CRC);
  memset(payload, 0, sizeof payload);
  le_put_u32(payload + FEATURE_MAP_AT_LENGTH, MODEL_INPUT_BYTES);
  if (!ask(MESSAGE_FEATURE_MAP, payload, FEATURE_MAP_FIELDS_BYTES)) {
    fail("no answer to FEATURE_MAP");
  }
  for (uint32_t i = 0; i < sizeof output; ++i) {
    if (output[i] != expected(last_payload + FEATURE_MAP_ANSWER_FIELDS_BYTES, i)) {
      fail("a wrong output of what was heard");
    }
  }
}

/* Always the same samples must always give the same decisions, whatever was listened to before. */
static void probe_listening(void) {
  static uint8_t known[DECISION_FIELDS_BYTES];
  const unsigned long before = count.decisions;
  const uint32_t samples = 250;
  uint8_t payload[SERVER_MAX_PAYLOAD] = {0};
  payload[LISTEN_AT_SOURCE] = LISTEN_LINE;
  payload[LISTEN_AT_PERIOD] = 1;
  if (!ask(MESSAGE_LISTEN, payload, LISTEN_FIELDS_BYTES)) {
    fail("no answer to LISTEN");
  }
  memset(payload, 0, sizeof payload);
  for (uint32_t sent = 0; sent < 3u * samples; sent += samples) {
    le_put_u32(payload + AUDIO_AT_OFFSET, sent);
    for (uint32_t i = 0; i < samples; ++i) {
      le_put_u16(payload + AUDIO_FIELDS_BYTES + 2u * i, (uint16_t)((sent + i) * i * 89u));
    }
    if (!ask(MESSAGE_AUDIO, payload, AUDIO_FIELDS_BYTES + 2u * samples)) {
      fail("no answer to AUDIO while it listens");
    }
  }
  if (!ask(MESSAGE_ECHO, payload, 9)) {
    fail("no answer to ECHO while it listens");
  }
  /* 750 samples are 10 frames, a map has 9 of them. */
  if (count.decisions != before + 2u || (count.probes > 0 && memcmp(known, last_decision, sizeof known) != 0)) {
    fail("other decisions");
  }
  memcpy(known, last_decision, sizeof known);
}

static void probe(void) {
  uint8_t payload[SERVER_MAX_PAYLOAD] = {0};
  uint8_t input[MODEL_INPUT_BYTES];
  uint8_t infer[INFER_FIELDS_BYTES] = {0};
  const uint32_t before = session;
  do {
    session = draw(0xFFFFFFFFu) + 1u;
  } while (session == before);
  seq = 0;
  if (!ask(MESSAGE_HELLO, NULL, 0)) {
    fail("no answer to HELLO");
  }
  fill(input, sizeof input);
  memcpy(payload + INPUT_FIELDS_BYTES, input, sizeof input);
  if (count.probes % 2 == 0 ? !ask(MESSAGE_INPUT, payload, INPUT_FIELDS_BYTES + sizeof input)
                            : !ask(MESSAGE_INPUT_PACKED, payload, pack(payload, input))) {
    fail("no answer to INPUT");
  }
  le_put_u32(infer + INFER_AT_INPUT_CRC, crc32_update(0, input, sizeof input));
  if (!ask(MESSAGE_INFER, infer, sizeof infer)) {
    fail("no answer to INFER");
  }
  for (uint32_t i = 0; i < last_answer.length - INFER_ANSWER_FIELDS_BYTES; ++i) {
    if (last_payload[INFER_ANSWER_FIELDS_BYTES + i] != expected(input, i)) {
      fail("a wrong output");
    }
  }
  probe_hearing();
  probe_hearing(); /* nothing is left of the first */
  probe_listening();
  count.probes++;
}

int main(int argc, char **argv) {
  const unsigned long inputs = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
  random_state = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) * 2654435769u | 1u : 1u;
  frame_decoder_init(&answers);
  server_init(engine_init());
  for (unsigned long i = 0; i < inputs; ++i) {
    one_input();
    if (i % PROBE_EVERY == PROBE_EVERY - 1u) {
      probe();
    }
  }
  printf("%lu inputs, %lu frames accepted, %lu answers, %lu restarts, %lu probes\n", inputs, count.accepted,
         count.answered, count.restarts, count.probes);
  return inputs == 0;
}
