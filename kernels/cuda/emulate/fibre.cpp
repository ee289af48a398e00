// The switch itself. On x86-64 and aarch64 it saves only what a called function must keep; elsewhere ucontext does
// it, several times slower, because it also saves the signal mask through the kernel.
#include "fibre.h"

#include <stdint.h>

#if defined(__x86_64__)

asm(R"(
.text
.globl fp_fibre_switch
.hidden fp_fibre_switch
.type fp_fibre_switch, @function
fp_fibre_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fp_fibre_switch, .-fp_fibre_switch
)");

void* fp_fibre_prepare(void* stack, unsigned long bytes, void (*entry)()) {
  // The entry finds the stack as after a call: 8 bytes off a multiple of 16.
  uint64_t* sp = reinterpret_cast<uint64_t*>(static_cast<char*>(stack) + bytes);
  *--sp = 0;
  *--sp = reinterpret_cast<uint64_t>(entry);
  for (int i = 0; i < 6; i++) *--sp = 0;
  return sp;
}

#elif defined(__aarch64__)

asm(R"(
.text
.globl fp_fibre_switch
.hidden fp_fibre_switch
.type fp_fibre_switch, %function
fp_fibre_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size fp_fibre_switch, .-fp_fibre_switch
)");

void* fp_fibre_prepare(void* stack, unsigned long bytes, void (*entry)()) {
  uint64_t* sp = reinterpret_cast<uint64_t*>(static_cast<char*>(stack) + bytes) - 20;
  for (int i = 0; i < 20; i++) sp[i] = 0;
  sp[11] = reinterpret_cast<uint64_t>(entry);
  return sp;
}

#else

#include <ucontext.h>

extern "C" void fp_fibre_switch(void** from, void* to) {
  ucontext_t here;
  *from = &here;
  swapcontext(&here, static_cast<ucontext_t*>(to));
}

void* fp_fibre_prepare(void* stack, unsigned long bytes, void (*entry)()) {
  ucontext_t* c = static_cast<ucontext_t*>(stack);
  getcontext(c);
  c->uc_stack.ss_sp = static_cast<char*>(stack) + sizeof(ucontext_t);
  c->uc_stack.ss_size = bytes - sizeof(ucontext_t);
  c->uc_link = nullptr;
  makecontext(c, entry, 0);
  return c;
}

#endif
