package userland

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Programs that tell what the kernel says of this machine and this process.

func runTrue(*call) error  { return nil }
func runFalse(*call) error { return exitCode(1) }

func runSync(*call) error {
	unix.Sync()
	return nil
}

func runYes(c *call) error {
	text := "y"
	if len(c.args) > 0 {
		text = strings.Join(c.args, " ")
	}
	for {
		if _, err := fmt.Fprintln(c.out, text); err != nil {
			return err
		}
	}
}

func runNproc(c *call) error {
	_, err := fmt.Fprintln(c.out, runtime.NumCPU()) // by sched_getaffinity(2)
	return err
}

func runUname(c *call) error {
	f := c.flags()
	all := f.BoolP("all", "a", false, "everything")
	wanted := []*bool{
		f.BoolP("kernel-name", "s", false, ""), f.BoolP("nodename", "n", false, ""), f.BoolP("kernel-release", "r", false, ""),
		f.BoolP("kernel-version", "v", false, ""), f.BoolP("machine", "m", false, ""),
	}
	if err := c.parse(f, 0); err != nil {
		return err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	var out []string
	for i, field := range [][]byte{u.Sysname[:], u.Nodename[:], u.Release[:], u.Version[:], u.Machine[:]} {
		if *wanted[i] || *all {
			out = append(out, unix.ByteSliceToString(field))
		}
	}
	if len(out) == 0 {
		out = []string{unix.ByteSliceToString(u.Sysname[:])}
	}
	_, err := fmt.Fprintln(c.out, strings.Join(out, " "))
	return err
}

func runHostname(c *call) error {
	if len(c.args) > 0 {
		return unix.Sethostname([]byte(c.args[0]))
	}
	name, err := os.Hostname()
	if err == nil {
		_, err = fmt.Fprintln(c.out, name)
	}
	return err
}

func runWhoami(c *call) error {
	_, err := fmt.Fprintln(c.out, userName(os.Geteuid()))
	return err
}

func userName(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		return u.Username
	}
	return strconv.Itoa(id)
}

func groupName(id int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(id)); err == nil {
		return g.Name
	}
	return strconv.Itoa(id)
}

func runID(c *call) error {
	f := c.flags()
	onlyUser := f.BoolP("user", "u", false, "the effective user")
	onlyGroup := f.BoolP("group", "g", false, "the effective group")
	names := f.BoolP("name", "n", false, "by name")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	switch {
	case *onlyUser && *names:
		fmt.Fprintln(c.out, userName(uid))
	case *onlyUser:
		fmt.Fprintln(c.out, uid)
	case *onlyGroup && *names:
		fmt.Fprintln(c.out, groupName(gid))
	case *onlyGroup:
		fmt.Fprintln(c.out, gid)
	default:
		fmt.Fprintf(c.out, "uid=%d(%s) gid=%d(%s)", uid, userName(uid), gid, groupName(gid))
		groups, err := os.Getgroups()
		for i, g := range groups {
			fmt.Fprintf(c.out, "%s%d(%s)", map[bool]string{true: " groups=", false: ","}[i == 0], g, groupName(g))
		}
		fmt.Fprintln(c.out)
		return err
	}
	return nil
}

// runEnv becomes the program that it is told to run, as env(1) does: execve(2)
// keeps the process id.
func runEnv(c *call) error {
	f := c.flags()
	f.SetInterspersed(false) // what follows the program's name is its own
	empty := f.BoolP("ignore-environment", "i", false, "begin with nothing")
	unset := f.StringArrayP("unset", "u", nil, "without this variable")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	if *empty {
		os.Clearenv()
	}
	for _, name := range *unset {
		os.Unsetenv(name)
	}
	args := c.args
	for len(args) > 0 && strings.Contains(args[0], "=") {
		name, value, _ := strings.Cut(args[0], "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return c.printLines(os.Environ())
	}
	path, err := exec.LookPath(args[0])
	for _, dir := range []string{"/usr/bin/", "/bin/"} {
		if err != nil && os.Getenv("PATH") == "" { // as execvp(3) does without one
			path, err = exec.LookPath(dir + args[0])
		}
	}
	if err != nil {
		c.complain(fmt.Errorf("%s: not found", args[0]))
		return exitCode(127)
	}
	return unix.Exec(path, args, os.Environ())
}

func runDate(c *call) error {
	f := c.flags()
	utc := f.BoolP("utc", "u", false, "in UTC")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	now := time.Now()
	if *utc {
		now = now.UTC()
	}
	layout := "Mon Jan _2 15:04:05 MST 2006"
	if len(c.args) > 0 {
		text, ok := strings.CutPrefix(c.args[0], "+")
		if !ok {
			return errors.New("want +FORMAT; the clock cannot be set here")
		}
		_, err := fmt.Fprintln(c.out, strftime(now, text))
		return err
	}
	_, err := fmt.Fprintln(c.out, now.Format(layout))
	return err
}

// strftime knows the letters of strftime(3) that scripts use.
func strftime(t time.Time, text string) string {
	return strings.NewReplacer("%Y", t.Format("2006"), "%m", t.Format("01"), "%d", t.Format("02"), "%H", t.Format("15"), "%M", t.Format("04"),
		"%S", t.Format("05"), "%s", strconv.FormatInt(t.Unix(), 10), "%N", fmt.Sprintf("%09d", t.Nanosecond()), "%F", t.Format("2006-01-02"),
		"%T", t.Format("15:04:05"), "%a", t.Format("Mon"), "%b", t.Format("Jan"), "%Z", t.Format("MST"), "%z", t.Format("-0700"), "%%", "%").Replace(text)
}
