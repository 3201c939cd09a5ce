// Package walk performs labs and tells what happens as events.
//
// A lab is performed by a worker process of its own, in the lab host; the
// front (the program at the learner's terminal) only listens. Both speak JSON,
// one object per line, so that the worker may just as well sit in a virtual
// machine:
//
//	front ── Request, Reply ──▶ worker      on this machine, in a user
//	      ◀─── events, Ask ────             namespace, or in a VM
//
// The worker is expendable. Its mount and net namespace die with it, its
// processes carry the run's token, and what else it made is in the journal; so
// the front can always put the machine back, whatever became of the worker.
package walk
