package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cutaway/minicontainer/api"
	"cutaway/minicontainer/builtin"
	"cutaway/unionfs/image"
	"cutaway/unionfs/image/registry"
)

// registryFlags are the options of pull and push.
type registryFlags struct {
	quiet, insecure bool
	platform, creds string
}

func (f *registryFlags) add(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "suppress verbose output")
	flags.BoolVar(&f.insecure, "insecure", false, "speak plain HTTP with the registry; a registry on this machine may always")
	flags.StringVar(&f.creds, "creds", "", "USER:PASSWORD for the registry")
}

// options are those for the registry, with somebody to report to.
func (f registryFlags) options(report registry.Report) (registry.Options, error) {
	o := registry.Options{Insecure: f.insecure}
	if !f.quiet {
		o.Report = report
	}
	o.User, o.Password, _ = strings.Cut(f.creds, ":")
	if f.platform != "" {
		system, arch, ok := strings.Cut(f.platform, "/")
		if !ok || system != "linux" {
			return o, fmt.Errorf("%q: want linux/ARCHITECTURE, such as linux/arm64", f.platform)
		}
		o.Architecture, _, _ = strings.Cut(arch, "/")
	}
	return o, nil
}

func (p *program) imagePull() *cobra.Command {
	var f registryFlags
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "pull [OPTIONS] NAME[:TAG|@DIGEST]",
		Short: "Pull an image from a registry",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withStore(func(s *image.Store) error { return p.pull(cmd.Context(), s, args[0], f) })
		},
	})
	f.add(cmd.Flags())
	cmd.Flags().StringVar(&f.platform, "platform", "", "of an image for several, such as linux/arm64")
	return cmd
}

func (p *program) pull(ctx context.Context, s *image.Store, name string, f registryFlags) error {
	ref, err := reference(name)
	if err != nil {
		return err
	}
	if !f.quiet && !builtin.Is(name) && !strings.Contains(name, ":"+ref.Tag) && ref.Digest == "" {
		fmt.Fprintln(p.out, "Using default tag:", ref.Tag)
	}
	here := func(ctx context.Context, ref image.Reference, o registry.Options) (api.Pulled, error) {
		return api.PullInto(ctx, s, ref, o)
	}
	if err := f.bringIn(ctx, here, ref, p.out); err != nil {
		return err
	}
	fmt.Fprintln(p.out, ref)
	return nil
}

// puller brings an image into a store, here or a daemon's.
type puller func(context.Context, image.Reference, registry.Options) (api.Pulled, error)

// bringIn pulls, and says on w how it goes.
func (f registryFlags) bringIn(ctx context.Context, pull puller, ref image.Reference, w io.Writer) error {
	o, err := f.options(newLayerProgress(w).report)
	if err != nil {
		return err
	}
	if f.quiet {
		w = io.Discard
	}
	// Interrupted, a pull still has to take back what it unpacked.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if builtin.Is(ref.Name()) { // no registry is asked
		fmt.Fprintf(w, "%s: %s is a built-in image, made on this machine\n", ref.Tag, ref.Repository())
	} else {
		fmt.Fprintf(w, "%s: Pulling from %s\n", tagOrDigest(ref), ref.Path)
	}
	got, err := pull(ctx, ref, o)
	if err != nil {
		return interrupted(ctx, err)
	}
	if got.Manifest != "" {
		fmt.Fprintln(w, "Digest:", got.Manifest)
	}
	fmt.Fprintln(w, "Status:", status(got, ref))
	return nil
}

func tagOrDigest(ref image.Reference) string {
	if ref.Digest != "" {
		return ref.Digest.String()
	}
	return ref.Tag
}

func status(got api.Pulled, ref image.Reference) string {
	if !got.New {
		return "Image is up to date for " + ref.Name()
	}
	return "Downloaded newer image for " + ref.Name()
}

// interrupted says why, where the reason is that somebody pressed Ctrl-C.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New("interrupted; nothing was kept")
	}
	return err
}

func (p *program) imagePush() *cobra.Command {
	var f registryFlags
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "push [OPTIONS] NAME[:TAG]",
		Short: "Push an image to a registry",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withStore(func(s *image.Store) error { return p.push(cmd.Context(), s, args[0], f) })
		},
	})
	f.add(cmd.Flags())
	return cmd
}

func (p *program) push(ctx context.Context, s *image.Store, name string, f registryFlags) error {
	ref, err := reference(name)
	if err != nil {
		return err
	}
	img, err := s.Resolve(ref.Name())
	if err != nil {
		return noSuchImage(ref.Name(), err)
	}
	d := newLayerProgress(p.out)
	o, err := f.options(d.report)
	if err != nil {
		return err
	}
	if !f.quiet {
		fmt.Fprintf(p.out, "The push refers to repository [%s/%s]\n", ref.Domain, ref.Path)
	}
	digest, err := registry.Push(ctx, s, img, ref, o)
	if err != nil {
		return err
	}
	if f.quiet {
		fmt.Fprintln(p.out, ref)
	} else {
		fmt.Fprintf(p.out, "%s: digest: %s\n", ref.Tag, digest)
	}
	return nil
}
