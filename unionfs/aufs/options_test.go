package aufs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func TestParseOptionsPrints(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"br:/a=rw:/b=ro", "br:/a=rw,append:/b=ro"},
		{"br=/a:/b", "br:/a,append:/b"},
		{"dirs=/a=rw", "br:/a=rw"},
		{"br:/a//b/./c/=rw", "br:/a/b/c=rw"},
		{"br:/a=rw+nolwh+icex", "br:/a=rw+icex+nolwh"},
		{"br:/a=ro+coo_reg+icexusr", "br:/a=ro+coo_reg+icexusr"},
		{"br:/a=foo", "br:/a=ro"},
		{"br:/a=rw+bogus", "br:/a=rw"},
		{"br:/a=rw,xino=/x/i,verbose,sum,noplink", "br:/a=rw,xino=/x/i,noplink,sum,verbose"},
		{"dirperm1,dio,br:/a=rw,udba=none,diropq=always,dirwh=5", "br:/a=rw,udba=none,dio,dirperm1,diropq=a,dirwh=5"},
		{"add:1:/a=rw:/b=ro", "add:1:/a=rw,add:2:/b=ro"},
		{"del:/a,mod:/b=rw,prepend:/c", "del:/a,mod:/b=rw,prepend:/c"},
		{"br:/a b=ro", "br:/a b=ro"},
		{"", ""},
	} {
		o, err := ParseOptions(c.in)
		if got := o.String(); err != nil || got != c.want {
			t.Errorf("ParseOptions(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	many := "br:/0=rw"
	for i := 1; i < 84; i++ {
		many += fmt.Sprintf(":/%d=ro", i)
	}
	for _, c := range []struct {
		in   string
		want error
	}{
		{"bogus=1", unix.EINVAL},
		{"bogus", unix.EINVAL},
		{"br:/a,b=ro", unix.EINVAL}, // a comma cannot be in a path
		{"br:/a::/b", unix.EINVAL},
		{"br:", unix.EINVAL},
		{"add:x:/a", unix.EINVAL},
		{"udba=sometimes", unix.EINVAL},
		{"dirwh=-1", unix.EINVAL},
		{many, nil},
		{many + ",xino=/x", unix.E2BIG},
	} {
		_, err := ParseOptions(c.in)
		if !errors.Is(err, c.want) {
			t.Errorf("ParseOptions(%.40q) = %v; want %v", c.in, err, c.want)
		}
	}
}

func TestParsePermWarns(t *testing.T) {
	_, warnings := parsePerm("foo+bogus")
	want := []string{"ignored branch permission foo", "ignored branch attribute bogus"}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("parsePerm(foo+bogus) warnings (-want +got):\n%s", diff)
	}
}

// FuzzParseOptions: what was parsed prints to something that parses to the same.
func FuzzParseOptions(f *testing.F) {
	for _, seed := range []string{"br:/a=rw:/b=ro+wh,xino=/x", "add:3:/a=rr+wh,del:/b", "udba=notify,create=mfs,cpup=bu,sum", "br=/a b=rw+moo+fhsm", ":=,+"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOptions(text)
		if err != nil {
			return
		}
		again, err := ParseOptions(o.String())
		if errors.Is(err, unix.E2BIG) {
			return
		}
		if err != nil {
			t.Fatalf("ParseOptions(%q) prints %q, which is refused: %v", text, o, err)
		}
		ignore := cmpopts.IgnoreFields(Options{}, "Warnings", "slots")
		if diff := cmp.Diff(o, again, ignore, cmp.AllowUnexported(Options{})); diff != "" && !strings.Contains(text, "\x00") {
			t.Errorf("%q changes on the way (-first +again):\n%s", text, diff)
		}
	})
}
