package probe

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestAttr(t *testing.T) {
	if native.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the expected bytes are little endian")
	}
	want := []byte{8, 0, 1, 0, 'a', 'b', 'c', 0}
	if diff := cmp.Diff(want, attr(1, text0("abc"))); diff != "" {
		t.Errorf("attr (-want +got):\n%s", diff)
	}
	// The length counts the header and not the padding.
	if diff := cmp.Diff([]byte{5, 0, 2, 0, 9, 0, 0, 0}, attr(2, []byte{9})); diff != "" {
		t.Errorf("attr (-want +got):\n%s", diff)
	}
}

// refusal is what the kernel sends for a message it does not like.
func refusal(e unix.Errno, said string) []byte {
	quoted := message(unix.RTM_NEWLINK, 0, make([]byte, 16))
	m := message(unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS, u32(uint32(-int32(e))), quoted, attr(unix.NLMSGERR_ATTR_MSG, text0(said)))
	native.PutUint16(m[6:], unix.NLM_F_ACK_TLVS)
	return m
}

func TestAnswer(t *testing.T) {
	done, said, err := answer(refusal(unix.EOPNOTSUPP, "Unknown device type"), 1)
	if !done || said != "Unknown device type" || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("answer(refusal) = %v, %q, %v", done, said, err)
	}
	ack := message(unix.NLMSG_ERROR, 0, u32(0), make([]byte, 16))
	native.PutUint32(ack[8:], 7)
	if done, _, err := answer(ack, 7); !done || err != nil {
		t.Errorf("answer(ack of 7, 7) = %v, %v", done, err)
	}
	if done, _, err := answer(ack, 8); done || err != nil {
		t.Errorf("answer(ack of 7, 8) = %v, %v; want to go on reading", done, err)
	}
	if _, _, err := answer([]byte{200, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1); !errors.Is(err, errShort) {
		t.Errorf("answer(cut) = %v; want errShort", err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(refusal(unix.EPERM, "no"), uint32(1))
	f.Add([]byte{16, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, uint32(1))
	f.Fuzz(func(_ *testing.T, b []byte, wanted uint32) { _, _, _ = answer(b, wanted) })
}
