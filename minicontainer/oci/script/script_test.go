package script

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// performers are the two that must do the same with every script. Each returns
// what the script wrote to descriptor 3 and how it ended.
var performers = map[string]func(*testing.T, func(out int) *Script) (string, error){
	"in assembler": performOutside,
	"in Go":        performHere,
}

// performOutside starts the program as a process of its own.
func performOutside(t *testing.T, write func(out int) *Script) (string, error) {
	needProgram(t)
	near, far := socketpair(t)
	memory, err := NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer memory.File.Close()
	exe, err := Image(3, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	s := write(3)
	s.Call("exit", unix.SYS_EXIT_GROUP, Int(0))
	if err := memory.Write(First, s); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", exe.Fd()))
	cmd.ExtraFiles = []*os.File{far, memory.File}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	far.Close()
	out, _ := io.ReadAll(near)
	if cmd.Wait() == nil {
		return string(out), nil
	}
	if len(out) < 16 {
		t.Fatalf("the program said %q and %q", out, complaint.String())
	}
	text, frame := out[:len(out)-16], out[len(out)-16:]
	index, errno, ok := Failure(frame[4:])
	if !ok || binary.LittleEndian.Uint32(frame) != 12 {
		t.Fatalf("the program failed with the frame %q", frame)
	}
	return string(text), s.Error(index, errno)
}

// TestLastWords: with nobody at the wire a failure goes to standard error.
func TestLastWords(t *testing.T) {
	needProgram(t)
	_, far := socketpair(t)
	memory, err := NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer memory.File.Close()
	s := &Script{}
	s.Call("close the wire", unix.SYS_CLOSE, Int(3))
	s.Call("listen nowhere", unix.SYS_LISTEN, Int(-1), Int(0)).Allow(unix.EBADF)
	s.Call("keyctl", unix.SYS_KEYCTL, Int(unix.KEYCTL_GET_KEYRING_ID), Int(0x7ffffff0), Int(0))
	if err := memory.Write(First, s); err != nil {
		t.Fatal(err)
	}
	exe, err := Image(3, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", exe.Fd()))
	cmd.ExtraFiles = []*os.File{far, memory.File}
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("keyctl: errno %d\n", unix.ENOKEY); string(out) != want || err == nil {
		t.Errorf("the program said %q, %v; want %q and a failure", out, err, want)
	}
}

// needProgram ends the test on a processor that the program is not written for.
func needProgram(t *testing.T) {
	t.Helper()
	if !Available {
		t.Skip("the program exists for amd64 only")
	}
}

// performHere has Perform do it.
func performHere(t *testing.T, write func(out int) *Script) (string, error) {
	near, far := socketpair(t)
	err := write(int(far.Fd())).Perform()
	far.Close()
	out, _ := io.ReadAll(near)
	return string(out), err
}

func socketpair(t *testing.T) (near, far *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far = os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestScripts(t *testing.T) {
	say := func(s *Script, out int, text string) *Call {
		return s.Call("write", unix.SYS_WRITE, Int(out), s.String(text), Int(len(text)))
	}
	tests := []struct {
		name  string
		write func(s *Script, out int)
		want  string
		err   error
	}{
		{"calls in their order", func(s *Script, out int) { say(s, out, "a"); say(s, out, "b") }, "ab", nil},
		{"a result as an argument", func(s *Script, out int) {
			fd := s.Call("dup", unix.SYS_DUP, Int(out))
			s.Call("write", unix.SYS_WRITE, fd.Result(), s.String("dup"), Int(3))
			s.Call("close", unix.SYS_CLOSE, fd.Result())
		}, "dup", nil},
		{"a struct with a pointer, and six arguments", func(s *Script, out int) {
			vector := s.Words(s.String("one "), Int(4), s.String("two"), Int(3))
			s.Call("pwritev2", unix.SYS_PWRITEV2, Int(out), vector, Int(2), Int(^uint64(0)), Int(0), Int(0))
		}, "one two", nil},
		{"a word that the kernel wrote", func(s *Script, out int) {
			word := s.Bytes(make([]byte, 16)).At(8)
			five := s.Call("eventfd2", unix.SYS_EVENTFD2, Int(5), Int(0))
			s.Call("read", unix.SYS_READ, five.Result(), word, Int(8))
			s.Call("write", unix.SYS_WRITE, Int(out), s.String("fives and more"), word.Loaded())
		}, "fives", nil},
		{"a failure ends the script", func(s *Script, out int) {
			say(s, out, "a")
			s.Call("chdir /nowhere", unix.SYS_CHDIR, s.String("/nowhere"))
			say(s, out, "b")
		}, "a", unix.ENOENT},
		{"one that is allowed does not", func(s *Script, out int) {
			s.Call("chdir", unix.SYS_CHDIR, s.String("/nowhere")).Allow(unix.EACCES, unix.ENOENT)
			say(s, out, "b")
		}, "b", nil},
		{"another one does", func(s *Script, out int) {
			s.Call("close", unix.SYS_CLOSE, Int(-1)).Allow(unix.EACCES, unix.ENOENT)
		}, "", unix.EBADF},
		{"left out unless an earlier call failed", func(s *Script, out int) {
			good := s.Call("getpid", unix.SYS_GETPID)
			bad := s.Call("chdir", unix.SYS_CHDIR, s.String("/nowhere")).Allow(unix.ENOENT)
			say(s, out, "no").Unless(good)
			say(s, out, "yes").Unless(bad)
		}, "yes", nil},
		{"an end that was not to come", func(s *Script, out int) {
			null := s.Call("open", unix.SYS_OPENAT, Int(unix.AT_FDCWD), s.String("/dev/null"), Int(unix.O_RDONLY))
			s.Call("read", unix.SYS_READ, null.Result(), s.Bytes(make([]byte, 8)), Int(1))
			say(s, out, "a")
			s.Call("read", unix.SYS_READ, null.Result(), s.Bytes(make([]byte, 8)), Int(1)).NoEnd()
			say(s, out, "b")
		}, "a", io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		for name, perform := range performers {
			t.Run(test.name+" "+name, func(t *testing.T) {
				got, err := perform(t, func(out int) *Script {
					s := &Script{}
					test.write(s, out)
					return s
				})
				if got != test.want || !errors.Is(err, test.err) {
					t.Errorf("the script wrote %q and ended with %v; want %q and %v", got, err, test.want, test.err)
				}
			})
		}
	}
}

// TestImage looks at what the kernel would load: nothing of the runtime is in it.
func TestImage(t *testing.T) {
	needProgram(t)
	if n := len(program()); n < 100 || n > 1000 {
		t.Errorf("the program has %d bytes; want some hundred: is what bounds it still in its place?", n)
	}
	f, err := Image(3, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("writing to the sealed program = %v; want EPERM", err)
	}
	if st, _ := f.Stat(); st.Size() > 3*page {
		t.Errorf("the program's file has %d bytes; want three pages at most", st.Size())
	}
}

// TestActs: what only Go can do is done in its turn.
func TestActs(t *testing.T) {
	s := &Script{}
	stop := errors.New("stop")
	s.Call("chdir", unix.SYS_CHDIR, s.String("/nowhere")).Allow(unix.ENOENT)
	s.Act("act", func() error { return stop })
	s.Call("exit", unix.SYS_EXIT_GROUP, Int(9))
	if err := s.Perform(); err != stop || !s.Acts() {
		t.Errorf("Perform = %v, Acts = %v; want %v and true", err, s.Acts(), stop)
	}
}
