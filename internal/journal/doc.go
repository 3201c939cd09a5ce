// Package journal remembers what cutaway made on this machine and how to undo
// it, so that nothing is left behind even when cutaway itself is killed.
//
// The rule has two halves. Before the kernel is touched, the intent and its
// undo are on disk; after, the outcome. So a kill -9 at any moment leaves at
// most an intent whose act did not happen, and undoing what does not exist is
// success:
//
//	Intend("cgroup-remove", path) ──▶ disk        kill -9 here: undo finds nothing
//	mkdir(path)                   ──▶ kernel      kill -9 here: undo removes it
//	PutBack()                     ──▶ kernel, disk
//
// An undo is data, not code: one of a closed list of kinds with its arguments.
// That makes it replayable by a later process (`cutaway clean`), which knows
// nothing of the one that died. Undos run in reverse order, since what was made
// last may stand on what was made first (a mount on a folder, a folder in a
// group).
//
// An undo must never hit a stranger. Process ids, loop devices and device names
// are reused by the kernel, so each entry carries what identifies its subject:
// the boot id for all, the start time for a process, the backing file for a
// loop device. Nothing is ever removed recursively: a live mount below would
// lose the learner's own files.
//
// Layout of the run folder (/run/cutaway, or $XDG_RUNTIME_DIR/cutaway):
//
//	lock                   held by the one running cutaway
//	journal/<run>.jsonl    one line for each header, intent and outcome
//	scratch/<run>          where a lab mounts its scratch tmpfs, empty outside
package journal
