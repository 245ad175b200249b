/* SPDX-License-Identifier: Apache-2.0 */
/* The logistic function and tanh of 16-bit numbers, with values in Q0.15: one table of half the logistic
 * function, interpolated. tanh(x) is 2 * logistic(2 * x) - 1. */
#ifndef AOT_INT16_CURVES_H
#define AOT_INT16_CURVES_H

#include "kernel.h"

/* 1 / (1 + exp(-i / 24)) in Q0.16. Each value is raised by half the error that interpolation would have in the
 * middle between it and the next. From place 255 on the function counts as 1. */
#define AOT_LOGISTIC_END 255
static const uint16_t aot_logistic_table[AOT_LOGISTIC_END + 2] = {
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432, 42064, 42688,
    43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409,
    51865, 52311, 52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433,
    57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110,
    61279, 61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186,
    63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308,
    64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900,
    64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208,
    65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367,
    65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433, 65438, 65442, 65445, 65449,
    65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491,
    65493, 65495, 65497, 65498, 65500, 65501, 65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513,
    65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530,
    65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533, 65533, 65533,
    65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
    65535,
};

/* Arguments of the functions below are multiplied by this: 24 places of the table of 512 steps each. */
#define AOT_CURVE_SCALE 12288

/* The table's value times 2^bits at x / 2^bits, which is 0 .. AOT_LOGISTIC_END. */
AOT_INLINE int32_t aot_logistic_at(int32_t x, int32_t bits) {
  const uint16_t *const place = aot_logistic_table + (x >> bits);
  const int32_t rise = place[1] - place[0];
  return aot_shift_left(place[0], bits) + rise * (x & ((1 << bits) - 1));
}

/* 1 / (1 + exp(-x)) in Q0.15, for arguments of -8 .. 8. */
AOT_SHARED int32_t aot_int16_logistic(int32_t x) {
  const int32_t upper = (aot_logistic_at(x < 0 ? -x : x, 9) + (1 << 9)) >> 10;
  return x < 0 ? (1 << 15) - upper : upper;
}

/* tanh(x) in Q0.15, for any argument but INT32_MIN. */
AOT_SHARED int32_t aot_int16_tanh(int32_t x) {
  const int32_t size = aot_min(x < 0 ? -x : x, AOT_LOGISTIC_END << 8);
  const int32_t upper = (aot_logistic_at(size, 8) - (1 << 23) + (1 << 7)) >> 8;
  return x < 0 ? -upper : upper;
}

#endif
