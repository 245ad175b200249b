# SPDX-License-Identifier: Apache-2.0
"""STM32 boards as register models around the CPU of `unicorn`: they run the real ELF and forgive nothing.

QEMU reads most of an STM32 as zero, so firmware runs there whatever it writes to the clock controller. Here
the clock tree, the power controller, the pins, the UART and the interrupt controller are modelled, and
whatever the real chip would answer with a hang, a fault or a wrong baud rate is a `ChipViolation` that says
why.

What a board is wired to and what its chip can do stands in `facts` a second time, on purpose: written from
the reference manuals and ST's CMSIS headers, not from `boards/*.yaml` or the drivers, which are what is
tested.
"""
