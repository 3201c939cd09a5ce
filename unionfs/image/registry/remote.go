package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"cutaway/unionfs/image"
)

// Options are about one pull or push.
type Options struct {
	User, Password string // "" for none
	Insecure       bool   // allow plain HTTP; hosts on loopback may always
	Architecture   string // of an image for several, "" for this machine's
	Report         Report // nil for none
	Parallel       int    // layers fetched at a time, 0 for Docker's 3
}

func (o Options) withDefaults() Options {
	if o.Architecture == "" {
		o.Architecture = runtime.GOARCH
	}
	if o.Parallel <= 0 {
		o.Parallel = 3
	}
	report := o.Report
	if report == nil {
		report = func(Progress) {}
	}
	var mu sync.Mutex
	o.Report = func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		report(p)
	}
	return o
}

// remoteName turns our reference into the module's. Names are checked by ours.
func remoteName(ref image.Reference, o Options) (name.Reference, error) {
	opts := []name.Option{}
	if o.Insecure {
		opts = append(opts, name.Insecure)
	}
	return name.ParseReference(ref.String(), opts...)
}

func remoteOptions(ctx context.Context, o Options) []remote.Option {
	opts := []remote.Option{
		remote.WithContext(ctx),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: o.Architecture}),
		remote.WithUserAgent("cutaway"),
	}
	// Not authn.DefaultKeychain: it links the Docker client's configuration
	// code for one file that cutaway does not own.
	if o.User != "" {
		opts = append(opts, remote.WithAuth(&authn.Basic{Username: o.User, Password: o.Password}))
	}
	return opts
}

// explain puts what likely went wrong before a registry's answer.
func explain(op string, ref image.Reference, err error) error {
	if err == nil {
		return nil
	}
	why := ""
	var answer *transport.Error
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		why = "no such image or tag in the registry: "
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		why = "the registry wants other credentials, or the repository does not exist: "
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		why = "the registry speaks plain HTTP; allow it with --insecure: "
	case strings.Contains(err.Error(), "connection refused"):
		why = "nothing listens there: "
	}
	return fmt.Errorf("%s %s: %s%w", op, ref, why, err)
}
