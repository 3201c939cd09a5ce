package nsdemo_test

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cutaway/nsdemo"
)

// An ordinary user needs no more than a user namespace along with the others.
func ExampleStart() {
	ctx := context.Background()
	p, err := nsdemo.Start(ctx, nsdemo.Spec{
		Kinds:    []nsdemo.Kind{nsdemo.User, nsdemo.UTS, nsdemo.PID, nsdemo.Mnt},
		Hostname: "box",
		Proc:     true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	name, _ := p.Hostname(ctx)
	list, _ := p.Processes(ctx)
	user, _ := p.User(ctx)
	fmt.Println(name, len(list), "process, pid", list[0].Pid, "uid", user.UID)
	// Output: box 1 process, pid 1 uid 0
}

// What differs between two processes is in their links.
func ExampleIDs() {
	p, err := nsdemo.Start(context.Background(), nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.User, nsdemo.Net}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	outside, _ := nsdemo.IDs("/proc", os.Getpid())
	inside, _ := nsdemo.IDs("/proc", p.Pid())
	fmt.Println(nsdemo.Differing(outside, inside))
	// Output: [net user]
}

// Joining is what docker exec does.
func ExampleJoin() {
	ctx := context.Background()
	target, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.User, nsdemo.UTS}, Hostname: "box"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer target.Close()
	p, err := nsdemo.Join(ctx, target.Pid(), nsdemo.User, nsdemo.UTS)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	name, _ := p.Hostname(ctx)
	fmt.Println(name)
	// Output: box
}

func ExamplePlan() {
	attr, err := nsdemo.Plan(nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.User}}, nsdemo.UserID{UID: 1000, GID: 1000})
	fmt.Printf("%#x %v %v\n", attr.Cloneflags, attr.UidMappings, err)
	// Output: 0x10000000 [{0 1000 1}] <nil>
}

func ExampleExplain() {
	causes := nsdemo.Explain("/proc", fmt.Errorf("fork: %w", unix.ENOMEM))
	fmt.Println(causes[0].Why)
	// Output: pid 1 of that pid namespace has ended, so nobody can enter any more
}
