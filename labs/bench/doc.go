// Package bench is the workbench of a lab: what a lab is made of ([Lab],
// [Step]) and what its acts and views get to work with ([Bench]).
//
// A step is performed in this order, and evidence is taken on both sides of
// its act:
//
//	Look ─▶ before ─┐
//	Do (or the shell lines of ByHand)
//	Look ─▶ after ──┴─▶ Expect ─▶ holds | fails | untested
//	Draw, Plot: pictures of what there is now
//
// The views must not care who performed the act. So a process that a step
// makes is known by a name and a pid, whether it came from Go or from a shell
// line such as
//
//	unshare --mount sleep 1000 & echo $! > inner.pid
//
// and everything about it is read by that pid from /proc, or by a helper that
// joins its namespaces.
//
// A lab stands in its lab host: a mount namespace whose mounts are private, a
// net namespace that plays the host's network, an empty /run and a scratch
// folder in memory. Only what has no namespace (control groups, loop devices)
// is made on the real machine, and then it is in the journal first.
package bench
