package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// userLab is lab 05: root inside, nobody special outside. What that root may
// not do, and what may be forbidden to it, stands in lab05_limits.go.
func userLab() bench.Lab {
	return bench.Lab{ID: "05", Name: "user", Steps: []bench.Step{
		userRootStep(),
		userFileStep(),
		userRefusedStep(),
		userRebootStep(),
		userSwitchesStep(),
		userLimitStep(),
	}}
}

// ordinaryID is the user who makes the namespaces, as the machine calls them:
// the learner who said sudo, or any id that is not root's (--set uid=ID). In a
// user namespace it is the learner, whom this lab knows as its own uid 0.
func ordinaryID(b *bench.Bench) (int, error) {
	otherwise := "1000"
	if sudo := os.Getenv("SUDO_UID"); sudo != "" && sudo != "0" {
		otherwise = sudo
	}
	if b.Where == "userns" {
		id, err := machineID(b, uids, 0)
		if err != nil {
			return 0, err
		}
		otherwise = strconv.Itoa(id)
	}
	chosen := b.Param("uid", otherwise)
	id, err := strconv.Atoi(chosen)
	if err != nil || id <= 0 {
		return 0, fmt.Errorf("uid=%s: want the number of an ordinary user, such as 1000", chosen)
	}
	if b.Where == "userns" && chosen != otherwise {
		return 0, &evidence.CannotTest{Reason: "an ordinary user can become nobody else but themselves", WayOut: "leave out --set uid, or run it as root"}
	}
	return id, nil
}

// machineID is an id of the lab host as the machine calls it: the same, unless
// the lab host is in a user namespace (/proc/self/uid_map).
func machineID(b *bench.Bench, of func(nsdemo.Mapping) []nsdemo.IDMap, id int) (int, error) {
	if b.Where != "userns" {
		return id, nil
	}
	own, err := nsdemo.ReadMapping("/proc", os.Getpid())
	if err != nil {
		return 0, err
	}
	if outer, ok := nsdemo.Outer(of(own), id); ok {
		return outer, nil
	}
	return id, nil // an overflow id already
}

func uids(m nsdemo.Mapping) []nsdemo.IDMap { return m.UID }
func gids(m nsdemo.Mapping) []nsdemo.IDMap { return m.GID }

// startAsOrdinary is an act: somebody who is not root makes a user namespace,
// and a mount namespace that belongs to it.
func startAsOrdinary(name string) func(context.Context, *bench.Bench) error {
	return func(ctx context.Context, b *bench.Bench) error {
		id, err := ordinaryID(b)
		if err != nil {
			return err
		}
		spec := nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.User, nsdemo.Mnt}}
		if b.Where != "userns" {
			spec.As = &nsdemo.UserID{UID: id, GID: id}
		}
		p, err := nsdemo.Start(ctx, spec)
		if err != nil {
			return err
		}
		return b.Keep(name, p)
	}
}

func startAsOrdinaryByHand(b *bench.Bench, name string) []string {
	drop := ""
	if id, err := ordinaryID(b); err == nil && b.Where != "userns" {
		drop = fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups ", id, id)
	}
	return []string{drop + "unshare --user --map-root-user --mount sleep 1000 & echo $! > " + name + ".pid", waitUntilRuns(name, "sleep")}
}

// enterAsRoot is how a shell line gets to be the inner root. Who is in a user
// namespace already is it without a change of ids, which they may not make.
func enterAsRoot(b *bench.Bench, name string) string {
	keep := ""
	if b.Where == "userns" {
		keep = " --preserve-credentials"
	}
	return "nsenter --target $(cat " + name + ".pid) --user" + keep + " "
}

var userTools = []bench.Tool{bench.Setpriv, bench.Unshare, bench.Sleep, bench.Nsenter}

func userRootStep() bench.Step {
	return bench.Step{
		Name: "root", Inside: inner, Needs: needs("ns.user.unprivileged"),
		Reproduces: []string{"ns-user-root"},
		Do:         startAsOrdinary(inner),
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string { return startAsOrdinaryByHand(b, inner) },
			Tools: userTools,
		},
		Look: []bench.View{
			{Title: "one process, two users", Read: readUsers},
			{Title: "the maps", Read: readMaps},
			{Title: "a file whose owner has no name inside", Read: readOverflow},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("inside, the process is uid 0", "uid inside", evidence.Equals("0")),
			evidence.Becomes("outside, it is the ordinary user", "uid outside", evidence.Param("uid")),
			evidence.Becomes("uid_map has one line: 0 inside is the ordinary user outside", "uid_map", evidence.Matches(`^0 [1-9]\d* 1$`)),
			evidence.Becomes("gid_map has one line as well", "gid_map", evidence.Matches(`^0 [1-9]\d* 1$`)),
			evidence.Becomes("setgroups is denied, without which gid_map would not be taken", "setgroups", evidence.Equals("deny")),
			evidence.Same("an owner that is not in the map is shown as the overflow uid", "owner of /, seen inside", "overflow uid"),
		},
	}
}

// readUsers reads one file, /proc/PID/status, from both sides: the kernel
// writes ids for the user namespace of whoever reads.
func readUsers(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	if _, err := ordinaryID(b); err != nil {
		return nil, err
	}
	pid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	from := fmt.Sprintf("/proc/%d/status", pid)
	outside, err := nsdemo.ReadStatus("/proc", pid)
	if err != nil {
		return nil, err
	}
	id, err := machineID(b, uids, outside.UID[1])
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("uid outside", from, strconv.Itoa(id))}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return facts, err
	}
	text, err := p.ReadFile(ctx, from)
	if err != nil {
		return facts, err
	}
	inside, err := nsdemo.ParseStatus(strings.NewReader(text))
	return append(facts, evidence.F("uid inside", from+", read inside", strconv.Itoa(inside.UID[1]))), err
}

func readMaps(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	m, err := nsdemo.ReadMapping("/proc", pid)
	if err != nil {
		return nil, err
	}
	dir := fmt.Sprintf("/proc/%d/", pid)
	return []evidence.Fact{
		evidence.F("uid_map", dir+"uid_map", mapText(b, uids, m)),
		evidence.F("gid_map", dir+"gid_map", mapText(b, gids, m)),
		evidence.F("setgroups", dir+"setgroups", m.Setgroups),
	}, nil
}

// mapText has the lines as the kernel writes them, with the machine's ids.
func mapText(b *bench.Bench, of func(nsdemo.Mapping) []nsdemo.IDMap, m nsdemo.Mapping) string {
	var all []string
	for _, l := range of(m) {
		outside, err := machineID(b, of, l.Outside)
		if err != nil {
			outside = l.Outside
		}
		all = append(all, fmt.Sprintf("%d %d %d", l.Inside, outside, l.Count))
	}
	return strings.Join(all, ", ")
}

func readOverflow(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	overflow, err := nsdemo.OverflowIDs("/proc")
	if err != nil {
		return nil, err
	}
	out, err := nsdemo.Stat("/")
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{
		evidence.F("overflow uid", "/proc/sys/kernel/overflowuid", strconv.Itoa(overflow.UID)),
		evidence.F("owner of /, seen outside", "stat(2) /", strconv.Itoa(out.UID)),
	}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return facts, err
	}
	in, err := p.Stat(ctx, "/")
	return append(facts, evidence.F("owner of /, seen inside", "stat(2) / inside", strconv.Itoa(in.UID))), err
}

func userFileStep() bench.Step {
	return bench.Step{
		Name: "file", Inside: inner, Needs: needs("ns.user.unprivileged"),
		Reproduces: []string{"ns-user-root"},
		Do:         writeFileInside,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return []string{"mkdir -m 777 drop", enterAsRoot(b, inner) + "touch drop/made-inside"}
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Nsenter},
		},
		Look: []bench.View{{Title: "whose file is it", Read: readFileOwner}},
		Expect: []evidence.Expectation{
			evidence.Becomes("inside, the file belongs to root", "owner inside", evidence.Equals("0")),
			evidence.Becomes("outside, the same file belongs to the ordinary user", "owner outside", evidence.Param("uid")),
		},
	}
}

// writeFileInside gives the inner root a folder that anybody may write to,
// and has it make a file there.
func writeFileInside(ctx context.Context, b *bench.Bench) error {
	if err := os.Mkdir(b.Path("drop"), 0o777); err != nil {
		return err
	}
	if err := os.Chmod(b.Path("drop"), 0o777); err != nil { // Mkdir's mode is cut by the umask
		return err
	}
	p, err := enterUser(ctx, b)
	if err != nil {
		return err
	}
	return errors.Join(p.WriteFile(ctx, madeInside, "", 0o644), p.Close())
}

const madeInside = "drop/made-inside"

// enterUser makes a process that is the inner root, but stays in the lab host's
// mount namespace, and so in the scratch folder: the way to that from / may be
// barred to an ordinary user.
func enterUser(ctx context.Context, b *bench.Bench) (*nsdemo.Process, error) {
	pid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	return nsdemo.Join(ctx, pid, nsdemo.User)
}

func readFileOwner(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	if _, err := ordinaryID(b); err != nil {
		return nil, err
	}
	out, err := nsdemo.Stat(madeInside)
	if err != nil {
		return nil, nil // not made yet
	}
	id, err := machineID(b, uids, out.UID)
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("owner outside", "stat(2) "+madeInside, strconv.Itoa(id))}
	p, err := enterUser(ctx, b)
	if err != nil {
		return facts, err
	}
	defer p.Close()
	in, err := p.Stat(ctx, madeInside)
	return append(facts, evidence.F("owner inside", "stat(2) "+madeInside+", inside", strconv.Itoa(in.UID))), err
}
