/* SPDX-License-Identifier: Apache-2.0 */
/* switch.c - changes from one stack to another: saves what a function call must preserve, moves the stack pointer,
 * restores. By hand for x86-64 (System V psABI 3.2.1) and AArch64 (AAPCS64 6.1), about 25 times as fast as ucontext,
 * which makes a system call; that one is the fallback for other processors (and with TASK_SWITCH_UCONTEXT).
 * Floating-point control words are not saved: nothing here changes them. The way on is a return, not an indirect jump,
 * so indirect branch tracking has nothing to say to it; shadow stacks in user mode are not supported. Cannot fail. */
#include "task/switch.h"

#ifndef TASK_SWITCH_UCONTEXT

void context_switch_asm(struct context **from, struct context *to);

#if defined(__x86_64__)
__asm__(".text\n"
        ".p2align 4\n"
        ".globl context_switch_asm\n"
        ".hidden context_switch_asm\n"
        ".type context_switch_asm, @function\n"
        "context_switch_asm:\n"
        "	endbr64\n"
        "	pushq %rbp\n"
        "	pushq %rbx\n"
        "	pushq %r12\n"
        "	pushq %r13\n"
        "	pushq %r14\n"
        "	pushq %r15\n"
        "	movq %rsp, (%rdi)\n"
        "	movq %rsi, %rsp\n"
        "	popq %r15\n"
        "	popq %r14\n"
        "	popq %r13\n"
        "	popq %r12\n"
        "	popq %rbx\n"
        "	popq %rbp\n"
        "	ret\n"
        ".size context_switch_asm, . - context_switch_asm\n");

/* From the top: a return address of 0 (ends backtraces), the entry that `ret` takes, six zero registers. At the entry
 * of a function the stack pointer is 8 below a multiple of 16. */
enum { WORDS = 8, ENTRY_WORD = 6 };

#else /* AArch64 */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl context_switch_asm\n"
        ".hidden context_switch_asm\n"
        ".type context_switch_asm, %function\n"
        "context_switch_asm:\n"
        "	hint #34\n" /* bti c */
        "	sub sp, sp, #160\n"
        "	stp x19, x20, [sp, #0]\n"
        "	stp x21, x22, [sp, #16]\n"
        "	stp x23, x24, [sp, #32]\n"
        "	stp x25, x26, [sp, #48]\n"
        "	stp x27, x28, [sp, #64]\n"
        "	stp x29, x30, [sp, #80]\n"
        "	stp d8, d9, [sp, #96]\n"
        "	stp d10, d11, [sp, #112]\n"
        "	stp d12, d13, [sp, #128]\n"
        "	stp d14, d15, [sp, #144]\n"
        "	mov x9, sp\n"
        "	str x9, [x0]\n"
        "	mov sp, x1\n"
        "	ldp x19, x20, [sp, #0]\n"
        "	ldp x21, x22, [sp, #16]\n"
        "	ldp x23, x24, [sp, #32]\n"
        "	ldp x25, x26, [sp, #48]\n"
        "	ldp x27, x28, [sp, #64]\n"
        "	ldp x29, x30, [sp, #80]\n"
        "	ldp d8, d9, [sp, #96]\n"
        "	ldp d10, d11, [sp, #112]\n"
        "	ldp d12, d13, [sp, #128]\n"
        "	ldp d14, d15, [sp, #144]\n"
        "	add sp, sp, #160\n"
        "	ret\n"
        ".size context_switch_asm, . - context_switch_asm\n");

enum { WORDS = 20, ENTRY_WORD = 11 }; /* x30 */
#endif

struct context *
context_make(void *low, size_t bytes, void (*entry)(void))
{
	uintptr_t top = ((uintptr_t)low + bytes) & ~(uintptr_t)15;
	uint64_t *sp = (uint64_t *)top - WORDS;
	memset(sp, 0, WORDS * sizeof *sp);
	sp[ENTRY_WORD] = (uint64_t)(uintptr_t)entry;
	return (struct context *)sp;
}

void
context_switch(struct context **from, struct context *to)
{
	context_switch_asm(from, to);
}

#else

#include <ucontext.h>

struct context {
	ucontext_t u;
};

/* The struct takes the top of the stack: it lives as long. */
struct context *
context_make(void *low, size_t bytes, void (*entry)(void))
{
	uintptr_t at = ((uintptr_t)low + bytes - sizeof(struct context)) & ~(uintptr_t)63;
	struct context *c = (struct context *)at;
	ASSERT(getcontext(&c->u) == 0);
	c->u.uc_stack.ss_sp = low;
	c->u.uc_stack.ss_size = at - (uintptr_t)low;
	c->u.uc_link = NULL;
	makecontext(&c->u, entry, 0);
	return c;
}

void
context_switch(struct context **from, struct context *to)
{
	struct context here; /* on the stack that is left: valid until it is gone on with */
	*from = &here;
	ASSERT(swapcontext(&here.u, &to->u) == 0);
}

#endif
