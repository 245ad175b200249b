/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in's core. UART0 is the host's end of the USB cable: what arrives there has been sent by the host's
 * driver, what leaves there has been delivered to the program that has the port open. UART1 is the tester's:
 *   '0', '1'  the program closes the port, opens it (DTR)
 *   'R'       somebody presses the reset button
 *   '?'       answers with one line: begins baud writes longest_write refused_writes stack_used
 *   'M'       answers with one line: microphone_blocks microphone_is_on lights (1 red, 2 green, 4 blue)
 * Every start is a line of its own. */
#include "Arduino.h"
#include "PDM.h"

#define ENDPOINT_BYTES 64u /* CDC_MAX_PACKET_SIZE */
#define RING_BYTES 256u    /* RingBufferN<256> */
#define URB_BYTES 128u     /* the host's cdc_acm asks for two packets at once */
#define PAINT 0xA5A5A5A5u

/* CMSDK UART: DATA, STATE (bit 0 transmitter full, bit 1 receiver full), CTRL (transmitter and receiver on), then
 * BAUDDIV at 0x10. */
struct Uart {
  volatile uint32_t data, state, control, interrupt, divisor;
};
#define CABLE (reinterpret_cast<Uart *>(0x40004000u))
#define TESTER (reinterpret_cast<Uart *>(0x40005000u))

extern "C" {
extern uint32_t ld_stack_top[], ld_stack_bottom[], ld_data_load[], ld_data_start[], ld_data_end[];
extern uint32_t ld_bss_start[], ld_bss_end[];
void reset_handler(void);
void fault_handler(void);
}

UsbSerial Serial;
uint32_t SystemCoreClock = 64000000;

/* Outside of .bss: these survive a reset. RAM is zero when the machine is switched on. */
__attribute__((section(".noinit"))) NRF_POWER_Type power;
__attribute__((section(".noinit"))) static uint32_t resets;

static struct {
  uint8_t dtr;
  uint8_t in[ENDPOINT_BYTES]; /* packet that the host has not fetched yet */
  size_t in_length;
  uint8_t urb[URB_BYTES]; /* packets that the host's driver has not delivered yet */
  size_t urb_length;
  uint8_t ring[RING_BYTES];
  size_t ring_first, ring_length;
  uint32_t begins, baud, writes, longest_write, refused_writes;
} usb;

static struct {
  uint32_t are_outputs, levels;
} lights;

/* Not even as a bit pattern may an interrupt touch the serial port: on the board it would wait for itself. */
static void forbid_in_interrupt(void) {
  uint32_t number;
  __asm volatile("mrs %0, ipsr" : "=r"(number));
  while (number != 0) {
  }
}

static void put(Uart *uart, uint8_t byte) {
  while ((uart->state & 1u) != 0) {
  }
  uart->data = byte;
}

static int get(Uart *uart) { return (uart->state & 2u) != 0 ? (int)(uart->data & 0xFFu) : -1; }

/* The driver delivers when a packet is short, or when what it has asked for is there. */
static void host_fetches(void) {
  const size_t length = usb.in_length;
  if (length == 0) {
    return;
  }
  for (size_t i = 0; i < length; i++) {
    usb.urb[usb.urb_length++] = usb.in[i];
  }
  usb.in_length = 0;
  if (length < ENDPOINT_BYTES || usb.urb_length == URB_BYTES) {
    for (size_t i = 0; i < usb.urb_length; i++) {
      put(CABLE, usb.urb[i]);
    }
    usb.urb_length = 0;
  }
}

/* A packet is taken as a whole; without room for one the host has to wait. */
static void host_sends(void) {
  size_t taken = 0;
  while (taken < ENDPOINT_BYTES && usb.ring_length + ENDPOINT_BYTES - taken <= RING_BYTES) {
    const int byte = get(CABLE);
    if (byte < 0) {
      return;
    }
    usb.ring[(usb.ring_first + usb.ring_length) % RING_BYTES] = (uint8_t)byte;
    usb.ring_length++;
    taken++;
  }
}

/* Closing aborts what is under way; the ring keeps what is in it. */
static void set_dtr(uint8_t dtr) {
  usb.dtr = dtr;
  if (!dtr) {
    usb.in_length = 0;
    usb.urb_length = 0;
  }
}

static void put_number(uint32_t number) {
  char digits[10];
  size_t length = 0;
  do {
    digits[length++] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  while (length > 0) {
    put(TESTER, (uint8_t)digits[--length]);
  }
}

static uint32_t stack_used(void) {
  const uint32_t *word = ld_stack_bottom;
  while (word < ld_stack_top && *word == PAINT) {
    word++;
  }
  return (uint32_t)((ld_stack_top - word) * 4);
}

static void report(void) {
  const uint32_t numbers[] = {usb.begins,         usb.baud,           usb.writes,
                              usb.longest_write,  usb.refused_writes, stack_used()};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    put_number(numbers[i]);
    put(TESTER, i + 1 < sizeof numbers / sizeof numbers[0] ? ' ' : '\n');
  }
}

static void report_microphone(void) {
  put_number(microphone_blocks());
  put(TESTER, ' ');
  put_number(microphone_is_on());
  put(TESTER, ' ');
  put_number(lights.are_outputs & ~lights.levels);
  put(TESTER, '\n');
}

__attribute__((noreturn)) static void reset(uint32_t cause) {
  power.RESETREAS.bits = power.RESETREAS.bits | cause;
  *reinterpret_cast<volatile uint32_t *>(0xE000ED0Cu) = 0x05FA0004u; /* AIRCR */
  for (;;) {
  }
}

static void tester_speaks(void) {
  switch (get(TESTER)) {
    case '0': set_dtr(0); break;
    case '1': set_dtr(1); break;
    case 'R': reset(POWER_RESETREAS_RESETPIN_Msk);
    case '?': report(); break;
    case 'M': report_microphone(); break;
    default: break;
  }
}

/* What happens on the board while the sketch does something else, or nothing. */
static void time_passes(void) {
  tester_speaks();
  host_fetches();
}

void UsbSerial::begin(unsigned long baud) {
  usb.begins++;
  usb.baud = baud;
}

int UsbSerial::available(void) {
  forbid_in_interrupt();
  time_passes();
  host_sends();
  return (int)usb.ring_length;
}

int UsbSerial::read(void) {
  if (available() == 0) {
    return -1;
  }
  const uint8_t byte = usb.ring[usb.ring_first];
  usb.ring_first = (usb.ring_first + 1) % RING_BYTES;
  usb.ring_length--;
  return byte;
}

size_t UsbSerial::write(uint8_t byte) { return write(&byte, 1); }

/* Packets of 64 bytes, none of length 0 at the end. It waits until the packet before is fetched, not this one;
 * what is being sent when the port is closed counts as sent. */
size_t UsbSerial::write(const uint8_t *bytes, size_t length) {
  forbid_in_interrupt();
  usb.writes++;
  usb.longest_write = length > usb.longest_write ? (uint32_t)length : usb.longest_write;
  tester_speaks();
  if (!usb.dtr) {
    usb.refused_writes++;
    return 0;
  }
  for (size_t sent = 0; sent < length;) {
    host_fetches();
    while (sent < length && usb.in_length < ENDPOINT_BYTES) {
      usb.in[usb.in_length++] = bytes[sent++];
    }
  }
  return length;
}

UsbSerial::operator bool() {
  delay(1);
  return usb.dtr != 0;
}

extern "C" void delay(unsigned long ms) {
  for (unsigned long turn = 0; turn < ms; turn++) {
    time_passes();
  }
}

static uint32_t light(uint32_t pin) { return pin >= LEDR && pin <= LEDB ? 1u << (pin - LEDR) : 0u; }

extern "C" void pinMode(uint32_t pin, int mode) {
  lights.are_outputs = mode == OUTPUT ? lights.are_outputs | light(pin) : lights.are_outputs & ~light(pin);
}

extern "C" void digitalWrite(uint32_t pin, int level) {
  lights.levels = level == HIGH ? lights.levels | light(pin) : lights.levels & ~light(pin);
}

extern "C" void yield(void) { time_passes(); }

extern "C" void NVIC_SystemReset(void) { reset(POWER_RESETREAS_SREQ_Msk); }

static void put_text(const char *text) {
  while (*text != 0) {
    put(TESTER, (uint8_t)*text++);
  }
}

static void start_uart(Uart *uart) {
  uart->divisor = 16;
  uart->control = 3;
}

/* main() of the core. */
__attribute__((noreturn)) static void run(void) {
  start_uart(CABLE);
  start_uart(TESTER);
  put_text("start\n");
  /* The start-up code of the real core (anomaly 136 of the chip). */
  if ((power.RESETREAS & POWER_RESETREAS_RESETPIN_Msk) != 0) {
    power.RESETREAS = ~POWER_RESETREAS_RESETPIN_Msk;
  }
  /* The first time the program that has the port open is there already; after a reset it has to open it. */
  set_dtr(resets == 0);
  resets++;
  Serial.begin(115200);
  setup();
  for (;;) {
    loop();
  }
}

extern "C" void fault_handler(void) {
  for (;;) {
  }
}

struct Vectors {
  uint32_t *stack;
  void (*handlers[15 + 9])(void);
};

extern "C" __attribute__((section(".vectors"), used)) const Vectors vectors = {
    ld_stack_top,
    {reset_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, 0, 0, 0, 0,
     fault_handler, fault_handler, 0, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, microphone_interrupt}};

extern "C" __attribute__((noinline, noreturn)) void start(void) {
  uint32_t *word = ld_stack_bottom;
  uint32_t *const here = static_cast<uint32_t *>(__builtin_frame_address(0));
  while (word < here - 16) {
    *word++ = PAINT;
  }
  const uint32_t *from = ld_data_load;
  for (uint32_t *to = ld_data_start; to < ld_data_end; to++) {
    *to = *from++;
  }
  for (uint32_t *to = ld_bss_start; to < ld_bss_end; to++) {
    *to = 0;
  }
  run();
}

extern "C" void reset_handler(void) {
  *reinterpret_cast<volatile uint32_t *>(0xE000ED08u) = reinterpret_cast<uint32_t>(&vectors); /* VTOR */
  *reinterpret_cast<volatile uint32_t *>(0xE000ED88u) |= 0xFu << 20;                          /* FPU */
  __asm volatile("dsb\n isb" ::: "memory");
  start();
}
