package oci

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/script"
)

// rehearse becomes the user, on this thread, which is good for nothing else
// afterwards: what the process will be able to reach is what the user can. A
// missing program is an error of create, so it is looked up now.
func (b *box) rehearse() error {
	// The working directory is shared by all threads of a process otherwise.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare CLONE_FS: %w", err)
	}
	user, dir := &script.Script{}, &script.Script{}
	b.changeUser(user)
	b.changeDir(dir, b.tryDir(dir))
	if err := user.Perform(); err != nil {
		return err
	}
	// The process enters cwd itself, and /proc/self is another place to it: what
	// fails here only matters where the program is looked for there.
	lost := dir.Perform()
	var err error
	if b.env, err = b.environment(); err != nil {
		return err
	}
	b.program, err = lookPath(b.process.Args[0], b.env)
	if err != nil && lost != nil {
		return lost
	}
	return err
}

// programError says why there is nothing to execute.
type programError struct {
	name string
	err  error
}

func (e *programError) Error() string { return fmt.Sprintf("exec: %q: %v", e.name, e.err) }

func (e *programError) Unwrap() error { return e.err }

// lookPath does what execvp(3) does, and tells why it failed in the words by
// which engines choose the exit codes 127 and 126.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if err := executable(name); err != nil {
			return "", &programError{name, err}
		}
		return name, nil
	}
	var denied error
	for _, dir := range filepath.SplitList(lookup(env, "PATH")) {
		if dir == "" {
			dir = "."
		}
		path := filepath.Join(dir, name)
		err := executable(path)
		if err == nil {
			return path, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			denied = err
		}
	}
	if denied != nil {
		return "", &programError{name, denied}
	}
	return "", &programError{name, errors.New("executable file not found in $PATH")}
}

// executable asks the kernel with the effective ids (faccessat2(2)).
func executable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return fmt.Errorf("is a directory: %w", fs.ErrPermission)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return errors.New("permission denied")
	}
	return nil
}

func lookup(env []string, key string) string {
	for _, e := range env {
		if k, v, _ := strings.Cut(e, "="); k == key {
			return v
		}
	}
	return ""
}

// environment is the spec's, with a HOME if it has none.
func (b *box) environment() ([]string, error) {
	env := slices.Clip(b.process.Env)
	if lookup(env, "HOME") != "" {
		return env, nil
	}
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return append(env, "HOME=/"), nil // an image without users: as every runtime has it
	}
	defer f.Close()
	return append(env, "HOME="+homeOf(f, b.process.User.UID)), nil
}

// homeOf reads passwd(5) lines: name:password:uid:gid:comment:home:shell.
func homeOf(passwd io.Reader, uid uint32) string {
	lines := bufio.NewScanner(passwd)
	for lines.Scan() {
		f := strings.Split(lines.Text(), ":")
		if len(f) >= 6 && f[2] == strconv.Itoa(int(uid)) && f[5] != "" {
			return f[5]
		}
	}
	return "/"
}

// exec becomes the user's program (execve(2)). The wire to the runtime closes
// with it: end of file there means that the program runs.
func (b *box) exec(s *script.Script) {
	b.letThrough(s)
	path, argv, envp := s.String(b.program), s.Strings(b.process.Args), s.Strings(b.env)
	if b.process.NoNewPrivileges && !b.isFilterEarly() {
		b.loadFilter(s)
	}
	s.Call("exec "+b.program, unix.SYS_EXECVE, path, argv, envp)
}

// letThrough opens the descriptors that the caller wants the program to have.
func (b *box) letThrough(s *script.Script) {
	for fd := 3; fd < 3+b.preserve; fd++ {
		s.Call("fcntl F_SETFD", unix.SYS_FCNTL, script.Int(fd), script.Int(unix.F_SETFD), script.Int(0)).Allow(unix.EBADF)
	}
}
