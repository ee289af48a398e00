// A switch between stacks: the few instructions a fibre needs, or the system's where they are not written.
#pragma once

// Saves the running context in *from and goes on with `to`.
extern "C" void fp_fibre_switch(void** from, void* to);
// A context that begins with `entry` on an empty stack; `entry` never returns.
void* fp_fibre_prepare(void* stack, unsigned long bytes, void (*entry)());
