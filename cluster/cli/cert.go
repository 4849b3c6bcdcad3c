package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fireflyrt/firefly/cluster/identity"
	"github.com/fireflyrt/firefly/cluster/node"
)

// renewAhead is how long before its end `cert init` says that a certificate is to be renewed.
const renewAhead = 30 * 24 * time.Hour

// errUnfit means that certificates that are there cannot stay; the report above says which.
var errUnfit = errors.New("cli: some of the certificates must be renewed: move them away and run cert init again")

func (t *tool) certCommand(config *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "cert init|client",
		Short: "Make the certificates with which nodes prove who they are",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return errors.Join(misuse{errors.New("which of its verbs?")}, c.Usage())
		},
	}
	var days int
	var json bool
	var scale string
	issue := func(use, short string, args cobra.PositionalArgs, issued func(f *folder, args []string) error) {
		v := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
		v.RunE = func(v *cobra.Command, given []string) error {
			if err := args(v, given); err != nil {
				return misuse{fmt.Errorf("%w; it is used as: firefly cert %s", err, use)}
			}
			f, err := t.openFolder(*config, scale, days)
			if err != nil {
				return err
			}
			if err = issued(f, given); len(f.report.Files) > 0 {
				f.tell(json)
			}
			return err
		}
		v.Flags().IntVar(&days, "days", int(identity.IssuedFor/(24*time.Hour)), "how long they are valid")
		v.Flags().BoolVar(&json, "json", false, "as one JSON object")
		if strings.HasPrefix(use, "init") {
			v.Flags().StringVar(&scale, "scale", "", "game=4: also for copies that scale is to start")
		}
		c.AddCommand(v)
	}
	issue("init", "Make a CA, and a certificate for each node of runtime.toml; what is there is kept", cobra.NoArgs,
		func(f *folder, _ []string) error { return f.nodes() })
	issue("client NAME", "Make a certificate for a tool: etcd lets it in, nodes do not", cobra.ExactArgs(1),
		func(f *folder, args []string) error { return f.client(args[0]) })
	return c
}

// A certFile is what became of one file of certificates.
type certFile struct {
	File  string     `json:"file"`
	Made  bool       `json:"made"` // false: it was there
	Of    string     `json:"of"`
	Hosts []string   `json:"hosts,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	Wrong string     `json:"wrong,omitempty"` // why it cannot stay
}

// A certReport is what `cert` did.
type certReport struct {
	Files  []certFile          `json:"files"`
	Copies map[string][]string `json:"copies,omitempty"` // by host: what must be there
}

// A folder is where the certificates of a configuration are.
type folder struct {
	*tool
	config *node.Config
	now    time.Time
	until  time.Time
	ca     *identity.Authority
	report certReport
}

// openFolder finds where certificates belong. Nothing is written yet.
func (t *tool) openFolder(config, scale string, days int) (*folder, error) {
	c, err := t.load(config)
	if err == nil && scale != "" {
		var table string
		var count int
		if table, count, err = parseScale(scale); err == nil {
			c, err = node.LoadScaled(config, t.kinds, table, count)
		}
		if err != nil {
			err = asMisuse(err)
		}
	}
	if err != nil {
		return nil, err
	}
	if !c.TLS.On() {
		return nil, misuse{fmt.Errorf("%s does not say where certificates are; add\n[tls]\nca   = \"tls/ca.pem\"\n"+
			"cert = \"tls/{node}.pem\"\nkey  = \"tls/{node}.key\"", config)}
	}
	if days < 1 || days > 3650 {
		return nil, misuse{errors.New("--days is 1 to 3650")}
	}
	now := time.Now()
	return &folder{tool: t, config: c, now: now, until: now.AddDate(0, 0, days)}, nil
}

// authorityKey is the file with the CA's key: beside its certificate, with another ending.
func (f *folder) authorityKey() string {
	ca := f.config.TLS.CA
	return strings.TrimSuffix(ca, filepath.Ext(ca)) + ".key"
}

// authority reads the CA, or makes one if there is none.
func (f *folder) authority() (err error) {
	cert, key := f.config.TLS.CA, f.authorityKey()
	haveCert, haveKey := there(cert), there(key)
	switch {
	case haveCert && !haveKey:
		return fmt.Errorf("cli: %s is here, but its key, %s, is not: certificates are made where the key is", cert, key)
	case !haveCert && haveKey:
		return fmt.Errorf("cli: %s is here, but the certificate of the CA, %s, is not: bring it back", key, cert)
	case haveCert:
		var p identity.Pair
		if p.Cert, err = os.ReadFile(cert); err != nil {
			return fmt.Errorf("cli: reading the CA: %w", err)
		}
		if p.Key, err = os.ReadFile(key); err != nil {
			return fmt.Errorf("cli: reading the CA's key: %w", err)
		}
		if f.ca, err = identity.ReadAuthority(p); err != nil {
			return fmt.Errorf("cli: reading %s and %s: %w", cert, key, err)
		}
	default:
		var p identity.Pair
		if f.ca, p, err = identity.NewAuthority(f.config.Cluster.Name, f.now); err != nil {
			return err
		}
		if err := keep(cert, key, p); err != nil {
			return err
		}
	}
	until := f.ca.Until()
	f.note(certFile{File: cert, Made: !haveCert, Of: "the CA of " + f.config.Cluster.Name, Until: &until})
	return nil
}

// nodes makes what is missing: the CA, and a certificate for each node.
func (f *folder) nodes() error {
	if err := f.authority(); err != nil {
		return err
	}
	f.report.Copies = map[string][]string{}
	unfit := false
	for _, n := range f.config.Nodes {
		made, err := f.pair(f.config.Certificate(n.Name), f.config.Identity(n.Name), n.LinkHosts())
		if err != nil {
			return err
		}
		unfit = unfit || made.Wrong != ""
		if n.Host != "" {
			f.report.Copies[n.Host] = append(f.report.Copies[n.Host], made.File)
		}
	}
	if unfit {
		return errUnfit
	}
	return nil
}

// toolName is that of a client: it becomes a part of file names.
var toolName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// client makes a tool's certificate.
func (f *folder) client(name string) error {
	if !toolName.MatchString(name) {
		return misuse{fmt.Errorf("%q cannot be a tool's name; use lower-case letters, digits and -, at most 40", name)}
	}
	if !there(f.config.TLS.CA) {
		return misuse{errors.New("there is no CA yet: cert init makes it")}
	}
	if err := f.authority(); err != nil {
		return err
	}
	id := identity.Identity{Cluster: f.config.Cluster.Name, Role: identity.Client, Name: name}
	made, err := f.pair(f.config.ClientCertificate(name), id, nil)
	if err == nil && made.Wrong != "" {
		err = errUnfit
	}
	return err
}

// pair makes a certificate and its key, unless they are there: then it looks whether they can stay.
func (f *folder) pair(at identity.Files, id identity.Identity, hosts []string) (certFile, error) {
	made := certFile{File: at.Cert, Of: id.String(), Hosts: hosts}
	at.Servers = "" // etcd's CA is not ours to look at
	switch haveCert, haveKey := there(at.Cert), there(at.Key); {
	case haveCert != haveKey:
		return made, fmt.Errorf("cli: of %s and %s only one is here: bring the other back, or remove it", at.Cert,
			at.Key)
	case haveCert:
		proof, err := at.Read(id, f.now)
		switch {
		case err != nil:
			made.Wrong = strings.ReplaceAll(err.Error(), "identity: ", "")
		case slices.ContainsFunc(hosts, func(h string) bool { return !slices.Contains(proof.Hosts, h) }):
			made.Wrong = fmt.Sprintf("it is for %s, and the node listens at %s", strings.Join(proof.Hosts, ", "),
				strings.Join(hosts, ", "))
		case proof.Until.Sub(f.now) < renewAhead:
			made.Wrong = "it ends on " + proof.Until.Format(time.DateOnly)
		}
		if err == nil {
			made.Until, made.Hosts = &proof.Until, proof.Hosts
		}
	default:
		p, err := f.ca.Issue(id, hosts, f.now, f.until)
		if err != nil {
			return made, err
		}
		if err := keep(at.Cert, at.Key, p); err != nil {
			return made, err
		}
		until := f.until
		if end := f.ca.Until(); until.After(end) {
			until = end
		}
		made.Made, made.Until = true, &until
	}
	f.note(made)
	return made, nil
}

func (f *folder) note(c certFile) { f.report.Files = append(f.report.Files, c) }

// there says whether there is a file, or anything else, of a name.
func there(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// keep writes two files that only their owner reads, the key first. What is there is never written over.
func keep(cert, key string, p identity.Pair) error {
	for _, path := range [...]string{cert, key} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("cli: making a place for certificates: %w", err)
		}
	}
	if err := writeNew(key, p.Key); err != nil {
		return err
	}
	if err := writeNew(cert, p.Cert); err != nil {
		return errors.Join(err, os.Remove(key))
	}
	return nil
}

// writeNew writes a file that must not be there.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cli: writing a new file: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("cli: writing %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// tell prints what was done.
func (f *folder) tell(json bool) {
	if json {
		writeJSON(f.out, f.report)
		return
	}
	for _, c := range f.report.Files {
		verb, rest := "kept", c.Of
		if c.Made {
			verb = "made"
		}
		if len(c.Hosts) > 0 {
			rest += " at " + strings.Join(c.Hosts, ", ")
		}
		if c.Until != nil {
			rest += ", until " + c.Until.Format(time.DateOnly)
		}
		if c.Wrong != "" {
			rest += "; it cannot stay: " + c.Wrong
		}
		fmt.Fprintf(f.out, "%s %s: %s\n", verb, f.short(c.File), rest)
	}
	if f.report.Files[0].Made {
		fmt.Fprintf(f.out, "%s is the key of the CA: whoever has it can be any node. Keep it off the servers.\n",
			f.short(f.authorityKey()))
	}
	var hosts []string
	for host := range f.report.Copies {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	for _, host := range hosts {
		files := []string{f.short(f.config.TLS.CA)}
		for _, file := range f.report.Copies[host] {
			files = append(files, f.short(file))
		}
		fmt.Fprintf(f.out, "host %s needs %s, and their keys\n", host, strings.Join(files, ", "))
	}
}

// short is a path as one writes it beside runtime.toml.
func (f *folder) short(path string) string {
	if r, err := filepath.Rel(filepath.Dir(f.config.Path), path); err == nil && filepath.IsLocal(r) {
		return r
	}
	return path
}
