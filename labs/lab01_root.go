package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// The second half of lab 01: what a process takes for /. Each step makes one
// process in a mount namespace of its own and moves its root into the folder
// "jail", by chroot(2) or by pivot_root(2).

// jailFolders are where this machine keeps its programs. Some are folders, to
// be bind-mounted in the jail; the others, links such as /bin -> usr/bin.
func jailFolders() (folders []string, links map[string]string) {
	links = map[string]string{}
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib64"} {
		info, err := os.Lstat(dir)
		switch {
		case err != nil:
		case info.IsDir():
			folders = append(folders, dir)
		default:
			links[dir], _ = os.Readlink(dir)
		}
	}
	return folders, links
}

// buildJail makes the folder, called jail in this lab. The programs are mounted
// later, by the process that will live there, so that the mounts go with it.
func buildJail(b *bench.Bench, jail string) error {
	folders, links := jailFolders()
	var errs []error
	for _, dir := range append(folders, "/dev", "/proc", "/old") {
		errs = append(errs, os.MkdirAll(b.Path(jail+dir), 0o755))
	}
	for dir, to := range links {
		errs = append(errs, os.Symlink(to, b.Path(jail+dir)))
	}
	return errors.Join(append(errs, os.WriteFile(b.Path(jail+"/dev/null"), nil, 0o644))...)
}

func buildJailByHand(jail string) []string {
	folders, links := jailFolders()
	made := append([]string{"/dev", "/proc", "/old"}, folders...)
	lines := []string{"mkdir -p " + jail + strings.Join(made, " "+jail)}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if to, ok := links[dir]; ok {
			lines = append(lines, "ln -s "+to+" "+jail+dir)
		}
	}
	return append(lines, "touch "+jail+"/dev/null")
}

// startInJail makes a process in a mount namespace of its own, with the
// programs mounted in the jail, and lets it move there.
func startInJail(ctx context.Context, b *bench.Bench, name string, enter func(*nsdemo.Process) error) error {
	p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}})
	if err != nil {
		return err
	}
	if err := b.Keep(name, p); err != nil {
		return err
	}
	if err := mountPrograms(ctx, p, b.Path("jail")); err != nil {
		return err
	}
	return enter(p)
}

// mountPrograms shows this machine's programs in a folder of buildJail's.
func mountPrograms(ctx context.Context, p *nsdemo.Process, jail string) error {
	folders, _ := jailFolders()
	for _, dir := range folders {
		if err := p.Mount(ctx, nsdemo.MountRequest{Source: dir, Target: jail + dir, Options: []string{"rbind"}}); err != nil {
			return err
		}
	}
	return nil
}

// startInJailByHand is the same: what is to be executed last, in the jail.
func startInJailByHand(name, enter string) string {
	script := append(mountProgramsByHand("jail"), enter)
	return "unshare --mount sh -c '" + strings.Join(script, " && ") + "' & echo $! > " + name + ".pid"
}

func mountProgramsByHand(jail string) []string {
	folders, _ := jailFolders()
	var script []string
	for _, dir := range folders {
		script = append(script, "mount --rbind "+dir+" "+jail+dir)
	}
	return script
}

// pivotByHand is the shell text of the way by pivot_root. umount(8), unlike the
// system call, wants to read a /proc, which is taken off again with the old root:
// through the host's /proc/PID/root one could still get there.
func pivotByHand(jail string) string {
	return "mount --rbind " + jail + " " + jail + " && cd " + jail + " && mount --rbind /proc proc && pivot_root . old && umount -l old proc && exec"
}

// climbByHand is the shell text of the way out.
const climbByHand = `perl -e "mkdir q(step); chroot q(step); chdir q(..) for 1..100; chroot q(.); exec qw(sleep 1000)"`

var (
	jailTools = []bench.Tool{bench.Mkdir, bench.Unshare, bench.Mount, bench.Sleep,
		{Program: "ln", Package: "coreutils"}, {Program: "touch", Package: "coreutils"}}
	perl = bench.Tool{Program: "perl", Package: "perl-base"}
)

// The processes of the four steps.
const (
	chrooted = "chrooted" // chroot, and stays
	climber  = "climber"  // chroot, and climbs out
	pivoted  = "pivoted"  // pivot_root, and stays
	captive  = "captive"  // pivot_root, and tries to climb out
)

// The facts of the four steps.
const (
	hostRoot   = "/ of the lab host"
	jailFolder = "the folder jail"
	itsRoot    = "/ of the process"
	joinerRoot = "/ of who enters its namespace"
)

func chrootStep() bench.Step {
	return bench.Step{
		Name: "chroot", Inside: guest,
		Reproduces: []string{"ns-mnt-pivot"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := buildJail(b, "jail"); err != nil {
				return err
			}
			return startInJail(ctx, b, chrooted, func(p *nsdemo.Process) error { return p.Chroot(ctx, b.Path("jail")) })
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return append(buildJailByHand("jail"),
					startInJailByHand(chrooted, "exec chroot jail sleep 1000"), waitUntilRuns(chrooted, "sleep"))
			},
			Tools: append([]bench.Tool{bench.Chroot}, jailTools...),
		},
		Look: []bench.View{{Title: "which folder is /", Read: readRoots(chrooted)}},
		Expect: []evidence.Expectation{
			evidence.Same("the / of the process is the folder jail", itsRoot, jailFolder),
			evidence.Same("its mount namespace still has the old root: who enters it begins there", joinerRoot, hostRoot),
		},
	}
}

func escapeStep() bench.Step {
	return bench.Step{
		Name: "escape", Inside: chrooted,
		Reproduces: []string{"ns-mnt-pivot"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return startInJail(ctx, b, climber, func(p *nsdemo.Process) error {
				if err := p.Chroot(ctx, b.Path("jail")); err != nil {
					return err
				}
				_, err := p.EscapeChroot(ctx)
				return err
			})
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return []string{startInJailByHand(climber, "exec chroot jail "+climbByHand), waitUntilRuns(climber, "sleep")}
			},
			Tools: append([]bench.Tool{bench.Chroot, perl}, jailTools...),
		},
		Look: []bench.View{{Title: "which folder is /", Read: readRoots(climber)}},
		Expect: []evidence.Expectation{
			evidence.Same("after the climb, the / of the process is that of the lab host", itsRoot, hostRoot),
			evidence.Differ("it is no longer the folder jail", itsRoot, jailFolder),
		},
	}
}

func pivotStep() bench.Step {
	return bench.Step{
		Name: "pivot", Inside: climber,
		Reproduces: []string{"ns-mnt-pivot"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return startInJail(ctx, b, pivoted, func(p *nsdemo.Process) error { return p.PivotRoot(ctx, b.Path("jail")) })
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return []string{startInJailByHand(pivoted, pivotByHand("jail")+" sleep 1000"), waitUntilRuns(pivoted, "sleep")}
			},
			Tools: append([]bench.Tool{bench.Pivot, bench.Umount}, jailTools...),
		},
		Look: []bench.View{
			{Title: "which folder is /", Read: readRoots(pivoted)},
			{Title: "the whole mount table of its namespace", Read: readWholeTable(pivoted)},
		},
		Expect: []evidence.Expectation{
			evidence.Same("the inner / is the folder jail", itsRoot, jailFolder),
			evidence.Same("it is the root of the whole namespace: who enters it begins in the jail as well", joinerRoot, jailFolder),
			evidence.Becomes("no mount of the old root is left in the namespace", "mounts of the old root", evidence.Equals("0")),
		},
	}
}

func captiveStep() bench.Step {
	return bench.Step{
		Name: "captive", Inside: pivoted,
		Reproduces: []string{"ns-mnt-pivot"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return startInJail(ctx, b, captive, func(p *nsdemo.Process) error {
				if err := p.PivotRoot(ctx, b.Path("jail")); err != nil {
					return err
				}
				_, err := p.EscapeChroot(ctx)
				return err
			})
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return []string{startInJailByHand(captive, pivotByHand("jail")+" "+climbByHand), waitUntilRuns(captive, "sleep")}
			},
			Tools: append([]bench.Tool{bench.Pivot, bench.Umount, perl}, jailTools...),
		},
		Look: []bench.View{{Title: "which folder is /", Read: readRoots(captive)}},
		Expect: []evidence.Expectation{
			evidence.Same("the same climb ends where it began: in the folder jail", itsRoot, jailFolder),
			evidence.Differ("the root of the lab host was not reached", itsRoot, hostRoot),
		},
	}
}

// readRoots tells folders apart by device and inode: paths would only say how
// a place is called from here.
func readRoots(name string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		facts := []evidence.Fact{
			evidence.F(hostRoot, "stat(2) /", identity(nsdemo.Stat("/"))),
			evidence.F(jailFolder, "stat(2) jail", identity(nsdemo.Stat(b.Path("jail")))),
		}
		pid, err := b.Pid(name)
		if err != nil {
			return facts, err
		}
		root := fmt.Sprintf("/proc/%d/root/.", pid)
		facts = append(facts, evidence.F(itsRoot, "stat(2) "+root, identity(nsdemo.Stat(root))))
		p, err := nsdemo.Join(ctx, pid, nsdemo.Mnt)
		if err != nil {
			return facts, err
		}
		defer p.Close()
		from := fmt.Sprintf("nsenter --target %d --mount stat /", pid)
		return append(facts, evidence.F(joinerRoot, from, identity(p.Stat(ctx, "/")))), nil
	}
}

func identity(info nsdemo.FileInfo, err error) string {
	if err != nil {
		return evidence.Absent
	}
	return fmt.Sprintf("device %d inode %d", info.Dev, info.Inode)
}

// readWholeTable counts the mounts from outside of the jail. The process's own
// mountinfo leaves out what is not below its root; this is read from one that
// has just entered, and whose root is the namespace's own.
func readWholeTable(name string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		pid, err := b.Pid(name)
		if err != nil {
			return nil, err
		}
		p, err := nsdemo.Join(ctx, pid, nsdemo.Mnt)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		list, err := nsdemo.Mounts("/proc", p.Pid())
		if err != nil {
			return nil, err
		}
		from := fmt.Sprintf("/proc/%d/mountinfo, of one that entered", p.Pid())
		old, points := 0, []string{}
		for _, m := range list {
			points = append(points, m.Mountpoint)
			if !inJail(m.Mountpoint) {
				old++
			}
		}
		return []evidence.Fact{
			evidence.F("mount points", from, strings.Join(points, " ")),
			evidence.F("mounts of the old root", from, fmt.Sprint(old)),
		}, nil
	}
}

// inJail tells whether a mount point is the jail or in a folder of programs.
func inJail(point string) bool {
	folders, _ := jailFolders()
	for _, dir := range folders {
		if point == dir || strings.HasPrefix(point, dir+"/") {
			return true
		}
	}
	return point == "/"
}
