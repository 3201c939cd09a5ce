// Package evidence holds what a lab reads back from the kernel and what it
// claims about it.
//
// A [Fact] is one thing that was read: its name, where a person can read it
// again (a file, a system call, a netlink message) and the value. A lab step
// reads its facts twice, before the act and after it:
//
//	          before            Do             after
//	        ┌────────┐   one mechanism call  ┌────────┐
//	kernel ─┤ facts  │ ────────────────────▶ │ facts  ├─ kernel
//	        └───┬────┘                       └───┬────┘
//	            └───────────▶ Observed ◀─────────┘
//	                              │
//	                        Expectation ──▶ holds | fails | untested
//
// An [Expectation] is a claim over both readings, with exactly one of three
// outcomes. Most claims are about the act: they demand that the fact was
// otherwise before, so that a step whose act is left out cannot pass. Some are
// about what the act must leave alone; those are marked with Stays.
//
// The package knows nothing of labs and never touches the kernel itself.
package evidence
