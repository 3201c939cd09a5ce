package script

import (
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Script is a list of system calls in the making.
type Script struct {
	calls    []*Call
	data     []byte    // what the calls point to
	pointers []pointer // the words in data that point into data
}

// pointer is a word of the data that holds the address of another place in it.
type pointer struct{ at, to int }

// Call is one line of a script.
type Call struct {
	name   string
	text   Arg // the name again, among the data
	number uint64
	args   [6]Arg
	allow  [2]unix.Errno
	unless *Call
	noEnd  bool
	index  int
	failed func(unix.Errno) error
	act    func() error
}

// Arg is an argument of a call: a number, the address of some data, or what an
// earlier call returned.
type Arg struct {
	value   uint64
	data    bool
	loaded  bool
	result  *Call
	address bool // of the result
}

// Int is a number as an argument.
func Int[T ~int | ~uint | ~int32 | ~uint32 | ~uint64 | ~uintptr](n T) Arg {
	return Arg{value: uint64(n)}
}

// Bytes puts data beside the list, aligned for any struct, and is its address.
func (s *Script) Bytes(b []byte) Arg {
	for len(s.data)%8 != 0 {
		s.data = append(s.data, 0)
	}
	at := len(s.data)
	s.data = append(s.data, b...)
	return Arg{value: uint64(at), data: true}
}

// String is the address of a text as the kernel takes it, ending in a zero.
func (s *Script) String(text string) Arg { return s.Bytes(append([]byte(text), 0)) }

// Strings is the address of an array of texts, as execve(2) takes argv and envp.
// The array holds addresses: they are filled in when it is known where it lies.
func (s *Script) Strings(texts []string) Arg {
	words := make([]Arg, 0, len(texts)+1)
	for _, t := range texts {
		words = append(words, s.String(t))
	}
	return s.Words(append(words, Int(0))...)
}

// Words is the address of an array of words, such as a struct with pointers in it.
func (s *Script) Words(words ...Arg) Arg {
	array := s.Bytes(make([]byte, 8*len(words)))
	for i, w := range words {
		at := int(array.value) + 8*i
		binary.LittleEndian.PutUint64(s.data[at:], w.value)
		if w.data {
			s.pointers = append(s.pointers, pointer{at, int(w.value)})
		}
	}
	return array
}

// Call adds a system call. The name is for the error, should it fail.
func (s *Script) Call(name string, number uintptr, args ...Arg) *Call {
	c := &Call{name: name, text: s.Bytes([]byte(name + errnoLine)), number: uint64(number), index: len(s.calls)}
	copy(c.args[:], args)
	s.calls = append(s.calls, c)
	return c
}

// Result is what a call returned, as an argument of a later one. Of a call that
// failed and was allowed to it is the negative errno.
func (c *Call) Result() Arg { return Arg{result: c} }

// ResultAddress is where that lies.
func (c *Call) ResultAddress() Arg { return Arg{result: c, address: true} }

// Allow names up to two errors with which the script goes on.
func (c *Call) Allow(errnos ...unix.Errno) *Call {
	copy(c.allow[:], errnos)
	return c
}

// Unless leaves the call out if an earlier one went well.
func (c *Call) Unless(earlier *Call) *Call {
	c.unless = earlier
	return c
}

// NoEnd makes a return of zero an error: the end of what is read.
func (c *Call) NoEnd() *Call {
	c.noEnd = true
	return c
}

// Explain gives the error that a failure is; it is the call's name and the errno otherwise.
func (c *Call) Explain(f func(unix.Errno) error) *Call {
	c.failed = f
	return c
}

// Error is what the failure of the call with this index means.
func (s *Script) Error(index int, errno unix.Errno) error {
	if index < 0 || index >= len(s.calls) {
		return fmt.Errorf("call %d of a script that has %d: %w", index, len(s.calls), errno)
	}
	c := s.calls[index]
	if errno == 0 {
		return fmt.Errorf("%s: %w", c.name, io.ErrUnexpectedEOF)
	}
	if c.failed != nil {
		return c.failed(errno)
	}
	return fmt.Errorf("%s: %w", c.name, errno)
}

// At is the address so many bytes behind that of some data.
func (a Arg) At(offset int) Arg {
	a.value += uint64(offset)
	return a
}

// Loaded is the word that lies at an address when the call is made, for what
// the kernel writes there meanwhile.
func (a Arg) Loaded() Arg {
	a.loaded = true
	return a
}
