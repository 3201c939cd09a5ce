package oci

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// findProgram looks the program up as the user that will run it, before the
// container counts as created: a missing program is an error of create.
func (b *box) findProgram() error {
	env, err := b.environment()
	if err != nil {
		return err
	}
	b.process.Env = env
	b.program, err = lookPath(b.process.Args[0], env)
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
	env := b.process.Env
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
func (b *box) exec() error {
	argv, err := syscall.SlicePtrFromStrings(b.process.Args)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(b.process.Env)
	if err != nil {
		return err
	}
	path, err := syscall.BytePtrFromString(b.program)
	if err != nil {
		return err
	}
	b.letThrough()
	if b.process.NoNewPrivileges {
		if err := b.loadFilter(); err != nil {
			return err
		}
	}
	errno := execve(path, argv, envp)
	return fmt.Errorf("exec %s: %w", b.program, errno)
}

// letThrough opens the descriptors that the caller wants the program to have.
func (b *box) letThrough() {
	for fd := 3; fd < 3+b.Preserve; fd++ {
		unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	}
}

// execve is bare: syscall.Exec would put back the resource limit that the Go
// runtime found at its start, over the one of the spec.
func execve(path *byte, argv, envp []*byte) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_EXECVE,
		uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])))
	return errno
}
