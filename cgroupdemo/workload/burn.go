package workload

import (
	"context"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Burned is what a busy loop says about itself, to be held against the group's bill.
type Burned struct {
	Wall, User, System time.Duration
	Threads            int
	CPUs               []int  // where the threads were seen to run
	Allowed            string // Cpus_allowed_list of /proc/self/status
}

// Burn keeps that many threads busy until ctx ends.
func Burn(ctx context.Context, threads int) Burned {
	// Inside a group with a CPU limit Go itself would run fewer threads at once
	// (since 1.25 it reads the quota); we want to run into the limit instead.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(threads+1, runtime.GOMAXPROCS(0))))
	before, begin := selfTimes(), time.Now()
	var all sync.Map
	var work sync.WaitGroup
	for range threads {
		work.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for x := uint64(88172645463325252); ctx.Err() == nil; {
				x = spin(x)
				all.Store(currentCPU(), true)
			}
		})
	}
	work.Wait()
	after := selfTimes()
	b := Burned{Wall: time.Since(begin), User: after.user - before.user, System: after.system - before.system,
		Threads: threads, Allowed: allowedCPUs()}
	cpus := map[int]bool{}
	all.Range(func(cpu, _ any) bool { cpus[cpu.(int)] = true; return true })
	b.CPUs = slices.Sorted(maps.Keys(cpus))
	return b
}

// spin is some hundred microseconds of arithmetic (xorshift, which nothing can shorten).
func spin(x uint64) uint64 {
	for range 200_000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// currentCPU is getcpu(2).
func currentCPU() int {
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return -1
	}
	return int(cpu)
}

func allowedCPUs() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(status)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return strings.TrimSpace(list)
		}
	}
	return ""
}

type times struct{ user, system time.Duration }

// selfTimes is getrusage(2), the kernel's bill for this process alone.
func selfTimes() times {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return times{}
	}
	return times{time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())}
}
