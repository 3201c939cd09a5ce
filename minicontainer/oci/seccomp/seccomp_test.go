package seccomp

import (
	"math/rand/v2"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// data is struct seccomp_data, as words.
type data struct {
	nr, arch uint32
	args     [6]uint64
}

func (d data) word(offset uint32) uint32 {
	switch {
	case offset == offsetNr:
		return d.nr
	case offset == offsetArch:
		return d.arch
	}
	arg := d.args[(offset-offsetArgs)/8]
	if offset%8 == 4 {
		return uint32(arg >> 32)
	}
	return uint32(arg)
}

// interpret runs a program as the kernel would.
func interpret(t *testing.T, program []unix.SockFilter, d data) uint32 {
	t.Helper()
	value, _ := steps(t, program, d)
	return value
}

// steps also counts the instructions.
func steps(t *testing.T, program []unix.SockFilter, d data) (value uint32, count int) {
	t.Helper()
	var acc uint32
	for pc := 0; pc < len(program); pc++ {
		in := program[pc]
		count++
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = d.word(in.K)
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
		case unix.BPF_RET | unix.BPF_K:
			return in.K, count
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		default:
			holds := map[uint16]bool{unix.BPF_JEQ: acc == in.K, unix.BPF_JGT: acc > in.K, unix.BPF_JGE: acc >= in.K}[in.Code&0xf0]
			if holds {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
	}
	t.Fatal("the program ran off its end")
	return 0, 0
}

const native = 0xc000003e

// TestComparisons lets random arguments decide, against plain Go.
func TestComparisons(t *testing.T) {
	ops := map[specs.LinuxSeccompOperator]func(x, a, b uint64) bool{
		specs.OpEqualTo:      func(x, a, _ uint64) bool { return x == a },
		specs.OpNotEqual:     func(x, a, _ uint64) bool { return x != a },
		specs.OpLessThan:     func(x, a, _ uint64) bool { return x < a },
		specs.OpLessEqual:    func(x, a, _ uint64) bool { return x <= a },
		specs.OpGreaterThan:  func(x, a, _ uint64) bool { return x > a },
		specs.OpGreaterEqual: func(x, a, _ uint64) bool { return x >= a },
		specs.OpMaskedEqual:  func(x, a, b uint64) bool { return x&a == b },
	}
	edges := []uint64{0, 1, 0xffffffff, 1 << 32, 1<<32 + 1, ^uint64(0), 1 << 63}
	for op, holds := range ops {
		for range 300 {
			a, x := edges[rand.IntN(len(edges))], edges[rand.IntN(len(edges))]
			b := edges[rand.IntN(len(edges))] & a
			index := uint(rand.IntN(6))
			f, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"},
				Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: index, Value: a, ValueTwo: b, Op: op}}}}})
			if err != nil {
				t.Fatal(err)
			}
			d := data{nr: 0, arch: native}
			d.args[index] = x
			want := uint32(unix.SECCOMP_RET_ALLOW)
			if holds(x, a, b) {
				want = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
			}
			if got := interpret(t, f.Program, d); got != want {
				t.Fatalf("%s argument %#x with %#x, %#x = %#x; want %#x", op, x, a, b, got, want)
			}
		}
	}
}

// TestSections looks at what other architectures and newer calls get.
func TestSections(t *testing.T) {
	deny := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86},
		Syscalls: []specs.LinuxSyscall{{Names: []string{"read", "exit_group"}, Action: specs.ActAllow}}}
	f, err := Compile(deny)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		d    data
		want uint32
	}{
		{"read", data{nr: 0, arch: native}, unix.SECCOMP_RET_ALLOW},
		{"write", data{nr: 1, arch: native}, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{"newer than the profile", data{nr: 400, arch: native}, unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{"read of 32 bits", data{nr: 3, arch: 0x40000003}, unix.SECCOMP_RET_ALLOW},
		{"x32, not listed", data{nr: x32Bit, arch: native}, unix.SECCOMP_RET_KILL_THREAD},
		{"another architecture", data{nr: 0, arch: 0xc00000b7}, unix.SECCOMP_RET_KILL_THREAD},
	}
	for _, test := range tests {
		if got := interpret(t, f.Program, test.d); got != test.want {
			t.Errorf("%s = %#x; want %#x", test.name, got, test.want)
		}
	}
}

// TestSearch gives random calls to random actions and asks for every number, on
// every architecture: it must get its own call's answer, after few steps.
func TestSearch(t *testing.T) {
	archs := []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
	actions := []specs.LinuxSeccompAction{specs.ActAllow, specs.ActErrno, specs.ActTrap, specs.ActLog}
	for round := range 20 {
		answers := map[string]specs.LinuxSeccompAction{}
		profile := &specs.LinuxSeccomp{DefaultAction: specs.ActKillProcess, Architectures: archs}
		for _, a := range archs {
			for _, e := range listOf(t, a) {
				if answers[e.name] == "" && rand.IntN(20) >= round {
					answers[e.name] = actions[rand.IntN(len(actions))]
					profile.Syscalls = append(profile.Syscalls, specs.LinuxSyscall{Names: []string{e.name}, Action: answers[e.name]})
				}
			}
		}
		f, err := Compile(profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range archs {
			checkNumbers(t, f, a, answers)
		}
	}
}

func listOf(t *testing.T, a specs.Arch) []entry {
	t.Helper()
	list, err := architectures()[a].list()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// checkNumbers compares the filter with the answers for the calls of an architecture.
func checkNumbers(t *testing.T, f *Filter, a specs.Arch, answers map[string]specs.LinuxSeccompAction) {
	t.Helper()
	table := architectures()[a]
	names, newest := map[uint32]string{}, table.mask
	for _, e := range listOf(t, a) {
		names[e.number] = e.name
		if answers[e.name] != "" {
			newest = max(newest, e.number)
		}
	}
	for n := range uint32(600) {
		number := n | table.mask
		action, named := answers[names[number]]
		if !named {
			action = specs.ActKillProcess
		}
		want, err := value(action, nil)
		if err != nil {
			t.Fatal(err)
		}
		if number > newest {
			want = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		}
		got, count := steps(t, f.Program, data{nr: number, arch: table.audit})
		if got != want || count > 40 {
			t.Fatalf("%s: %d (%q) = %#x after %d instructions; want %#x after at most 40", a, number, names[number], got, count, want)
		}
	}
}

// TestTables compares with the tables of another module.
func TestTables(t *testing.T) {
	others := map[specs.Arch]*arch.Info{specs.ArchX86_64: arch.X86_64, specs.ArchX86: arch.I386, specs.ArchX32: arch.X32,
		specs.ArchAARCH64: arch.AARCH64, specs.ArchARM: arch.ARM}
	for name, other := range others {
		list, err := architectures()[name].list()
		if err != nil {
			t.Fatal(err)
		}
		numbers := map[string]uint32{}
		for _, e := range list {
			numbers[e.name] = e.number
		}
		// x32 has two numbers for some names: 64-bit's, and its own from 512 on.
		highest := map[string]uint32{}
		for nr, call := range other.SyscallNumbers {
			highest[call] = max(highest[call], uint32(nr)|uint32(other.SeccompMask))
		}
		for call, want := range highest {
			if got := numbers[call]; got != want {
				t.Errorf("%s: %s = %d; want %d", name, call, got, want)
			}
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add("0 read\n1 write\n")
	f.Add("x\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseTable(text, x32Bit)
		for _, e := range list {
			if err == nil && (e.name == "" || e.number&x32Bit == 0) {
				t.Errorf("parseTable(%q) has %q = %d", text, e.name, e.number)
			}
		}
	})
}

// TestEncode sends a filter to itself.
func TestEncode(t *testing.T) {
	for _, want := range []*Filter{nil, {Flags: 3, Notify: true, Program: []unix.SockFilter{{Code: 0x15, Jt: 1, Jf: 255, K: 1 << 31}, {Code: 6}}}} {
		got, err := Decode(want.Encode())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Decode(Encode(%v)): %v, difference (-want +got):\n%s", want, err, diff)
		}
	}
	if f, err := Decode([]byte("half of one")); err == nil {
		t.Errorf("Decode of 11 bytes = %v; want an error", f)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&Filter{Program: []unix.SockFilter{{Code: 6}}}).Encode())
	f.Fuzz(func(t *testing.T, text []byte) {
		if filter, err := Decode(text); err == nil && len(text) > 5 && len(filter.Encode()) != len(text) {
			t.Errorf("Decode(%x) = %v, which is encoded in another length", text, filter)
		}
	})
}
