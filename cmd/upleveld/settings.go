package main

import (
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"uplevel/internal/problem"
)

// The roles of a process.
const (
	roleAPI      = "api"      // /api
	roleDelivery = "delivery" // /tuf and /objects
	roleWorker   = "worker"   // signs again what runs out
)

// settings are the options of serve.
type settings struct {
	listen, publicURL, tlsCert, tlsKey string
	roles                              []string
	dev                                bool
	memory                             int // MiB
}

// defaultMemory is what the collector of garbage keeps the service near to, in MiB: what
// requests hold at once is bounded apart from it, and both together stay below 256.
const defaultMemory = 160

func (s *settings) flags(flags *pflag.FlagSet) {
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8443", "address to listen on")
	flags.StringSliceVar(&s.roles, "roles", []string{roleAPI, roleDelivery, roleWorker}, "what this process does")
	flags.StringVar(&s.publicURL, "public-url", "", "address that customers use (default: https:// and the listen address)")
	flags.StringVar(&s.tlsCert, "tls-cert", "", "certificate chain, PEM; without it plain HTTP, for a proxy on this machine")
	flags.StringVar(&s.tlsKey, "tls-key", "", "its private key, PEM")
	flags.IntVar(&s.memory, "memory", defaultMemory, "MiB that it keeps near to; more makes many requests at once faster")
	flags.BoolVar(&s.dev, "dev", false, "throw-away certificate, this machine only, a data folder that starts empty")
}

// check refuses, by name, what contradicts itself and what is unsafe in production.
func (s *settings) check() error {
	host, _, err := net.SplitHostPort(s.listen)
	if err != nil {
		return problem.New(problem.Usage, "give --listen HOST:PORT", "--listen %.100q: %w", s.listen, err)
	}
	for _, role := range s.roles {
		if !slices.Contains([]string{roleAPI, roleDelivery, roleWorker}, role) {
			return problem.New(problem.Usage, "give --roles "+strings.Join([]string{roleAPI, roleDelivery, roleWorker}, ","), "--roles: unknown role %.40q", role)
		}
	}
	if s.memory < 64 {
		return problem.New(problem.Usage, "give --memory MIB, 64 or more", "--memory %d: it is too little to serve", s.memory)
	}
	if (s.tlsCert == "") != (s.tlsKey == "") {
		return problem.New(problem.Usage, "give both or none", "--tls-cert and --tls-key belong together")
	}
	if s.dev {
		return s.checkDev(host)
	}
	if !isLoopback(host) && s.tlsCert == "" {
		return unsafeSetting("--listen "+s.listen, "it can be reached from other machines without TLS",
			"give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy")
	}
	if u, err := url.Parse(s.publicURL); s.publicURL != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return unsafeSetting("--public-url "+s.publicURL, "it is no https address", "give --public-url https://HOST")
	}
	return checkPrivate("--tls-key", s.tlsKey)
}

func (s *settings) checkDev(host string) error {
	switch {
	case !isLoopback(host):
		return unsafeSetting("--listen "+s.listen, "--dev is for this machine only", "listen on 127.0.0.1, or leave out --dev")
	case s.tlsCert != "":
		return problem.New(problem.Usage, "leave out one of them", "--dev makes a certificate itself and takes no --tls-cert")
	case s.publicURL != "":
		return problem.New(problem.Usage, "leave out one of them", "--dev takes no --public-url")
	}
	return nil
}

func unsafeSetting(what, why, next string) error {
	return problem.New(problem.Refused, next, "unsafe setting %s: %s", what, why).Standing("the service was not started")
}

// checkPrivate refuses a secret file that others can read.
func checkPrivate(what, name string) error {
	if name == "" || runtime.GOOS == "windows" {
		return nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o004 != 0 {
		return unsafeSetting(what+" "+name, "everyone on this machine can read it", "chmod 600 "+name)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
