// Package workload is what labs run inside a group to see its limits at work:
// small programs that want as much of one resource as they can get.
//
//	Burn             processor time
//	Allocate         memory
//	ForkUntilError   processes
//	WriteDirect      the disk's bandwidth
//	Count            next to nothing: a pulse, to see whether it is frozen
//
// Each also runs as a request of package inside (requests.go), since the process
// that is to be limited has to be another one than the one that looks on.
//
// It is a package of its own and not part of cgroupdemo because a container's
// start waits for everything that cgroupdemo imports to be initialised.
//
// System calls: mmap(2), clone(2), getcpu(2), getrusage(2), pwrite(2) with
// O_DIRECT (open(2)).
package workload
