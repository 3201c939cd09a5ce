package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/minicontainer/builtin"
	"cutaway/nsdemo"
	"cutaway/volumedemo"
)

// contained is a container of a lab, as one asks for it.
type contained struct {
	name, image string
	volumes     []string          // -v
	mounts      []volumedemo.Spec // --mount
	tmpfs       map[string]string // --tmpfs
	from        []string          // --volumes-from
	command     []string
}

func (c contained) options(b *bench.Bench) (minicontainer.Options, error) {
	o := minicontainer.Options{Name: c.name}
	o.Config.Image, o.Config.Cmd = c.image, c.command
	o.Host.Mounts, o.Host.Tmpfs, o.Host.VolumesFrom = c.mounts, c.tmpfs, c.from
	for _, text := range c.volumes {
		s, err := short(b, text)
		if err != nil {
			return o, err
		}
		o.Host.Mounts = append(o.Host.Mounts, s)
	}
	return o, nil
}

// create makes the container, and an image that is built in when it is first used.
func (c contained) create(b *bench.Bench, e *minicontainer.Engine) (*minicontainer.Container, error) {
	if builtin.Is(c.image) {
		if _, err := builtin.Ensure(e.Images, c.image); err != nil {
			return nil, err
		}
	}
	o, err := c.options(b)
	if err != nil {
		return nil, err
	}
	return e.Create(o)
}

// run is create and start, in the background.
func (c contained) run(b *bench.Bench) error {
	return withEngine(b, func(e *minicontainer.Engine) error {
		if _, err := c.create(b, e); err != nil {
			return err
		}
		return startNamed(b, e, c.name)
	})
}

func startNamed(b *bench.Bench, e *minicontainer.Engine, name string) error {
	s, err := e.Start(name, nil)
	if err != nil {
		return err
	}
	made, err := e.Inspect(name)
	if err == nil {
		err = os.WriteFile(b.Path(name+".pid"), []byte(strconv.Itoa(made.State.Pid)+"\n"), 0o644)
	}
	return errors.Join(err, s.Close())
}

// runAll runs containers one after the other.
func runAll(all ...contained) func(context.Context, *bench.Bench) error {
	return func(_ context.Context, b *bench.Bench) error {
		for _, c := range all {
			if err := c.run(b); err != nil {
				return err
			}
		}
		return nil
	}
}

func pidLine(name string) string {
	return "cutaway inspect --format '{{.State.Pid}}' " + name + " > " + name + ".pid"
}

// removeContainer is rm -f, with -v or without.
func removeContainer(b *bench.Bench, name string, volumes bool) error {
	return withEngine(b, func(e *minicontainer.Engine) error {
		return e.Remove(name, minicontainer.RemoveOptions{Force: true, Volumes: volumes})
	})
}

// commitAs makes an image of a container.
func commitAs(b *bench.Bench, name, image string, changes ...string) error {
	return withEngine(b, func(e *minicontainer.Engine) error {
		_, err := e.Commit(name, minicontainer.CommitOptions{Name: image, Pause: true, Changes: changes})
		return err
	})
}

// containerID reads the link that is a container's claim on its name.
func containerID(b *bench.Bench, name string) string {
	to, err := os.Readlink(b.Path("root", "names", name))
	if err != nil {
		return evidence.Absent
	}
	return filepath.Base(to)
}

func volumeData(b *bench.Bench, name string) string {
	return b.Path("root", "volumes", name, "_data")
}

// mountedVolume is the name of the volume that a container has at a path, by its
// mount table.
func mountedVolume(pid int, path string) string {
	source, _ := mountLine(pid, path)
	_, name, found := strings.Cut(source, "/volumes/")
	if !found {
		return evidence.Absent
	}
	name, _, _ = strings.Cut(name, "/")
	return name
}

// ownerAndMode is what ls -ln tells of a file.
func ownerAndMode(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return evidence.Absent
	}
	return fmt.Sprintf("%d:%d %04o", st.Uid, st.Gid, st.Mode&0o7777)
}

// say writes an error where a shell line's `2> file` would put it. A nil error is
// one too: it was to fail.
func say(b *bench.Bench, file string, err error) error {
	if err == nil {
		return fmt.Errorf("%s: it should have been refused, and was not", file)
	}
	return os.WriteFile(b.Path(file), []byte("Error: "+err.Error()+"\n"), 0o644)
}

// onlyWaits is a program that only waits.
var onlyWaits = []string{"sleep", "1000"}

// script is a program that does something and then waits.
func script(text string) []string { return []string{"sh", "-c", text + "; exec sleep 1000"} }

func scriptLine(text string) string { return "sh -c " + shellQuote(text+"; exec sleep 1000") }

// waitForFile waits until a container's script has come so far.
func waitForFile(ctx context.Context, path string) error {
	return waitFor(ctx, path+" is there", func() bool { _, err := os.Stat(path); return err == nil })
}

// waitForText waits for a file with something in it: a shell makes the file
// first, and "echo" writes a moment later.
func waitForText(ctx context.Context, path string) error {
	return waitFor(ctx, path+" has text", func() bool { st, err := os.Stat(path); return err == nil && st.Size() > 0 })
}

func waitForTextLine(path string) string { return "until [ -s " + path + " ]; do sleep 0.01; done" }

// statfsSize is the size of the file system at a path.
func statfsSize(path string) string {
	usage, err := nsdemo.Statfs(path)
	if err != nil {
		return evidence.Absent
	}
	return fmt.Sprintf("%d bytes", usage.Size)
}
