package clustertest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A key is one of a cluster's keys in its registry, as etcd's JSON gateway tells it.
type key struct {
	Name  string `json:"key"` // in base64, as the value is
	Value string `json:"value"`
	Lease string `json:"lease,omitempty"`
}

// Registered are the values of the registry's keys that begin with a text, by what follows it: "members/", "owners/",
// "coordinator". It asks whoever of etcd answers.
func (c *Cluster) Registered(prefix string) (map[string]string, error) {
	all, err := c.keys(prefix)
	found := map[string]string{}
	for _, k := range all {
		found[strings.TrimPrefix(k.Name, prefix)] = k.Value
	}
	return found, err
}

// Coordinator is the name of the node that holds the election; "" while nobody does.
func (c *Cluster) Coordinator() (string, error) {
	who, err := c.Registered("coordinator")
	if err != nil {
		return "", err
	}
	members, err := c.Registered("members/")
	return nameIn(members[who[""]]), err
}

// Appoint lets a node hold the election, for as long as it lives, as if it had won it.
func (c *Cluster) Appoint(name string) {
	c.t.Helper()
	Await(c.t, Patience, name+" to coordinate", func() error {
		members, err := c.keys("members/")
		if err != nil {
			return err
		}
		for _, m := range members {
			if nameIn(m.Value) == name {
				won := key{c.registryKey("coordinator"), encoded(strings.TrimPrefix(m.Name, "members/")), m.Lease}
				return errors.Join(c.askRegistry("put", won, nil), c.coordinates(name))
			}
		}
		return errors.New("it is no member")
	})
}

// coordinates is an error unless a node holds the election.
func (c *Cluster) coordinates(name string) error {
	who, err := c.Coordinator()
	if err == nil && who != name {
		err = fmt.Errorf("%q does", who)
	}
	return err
}

// keys are the keys that begin with a text, decoded and without what is before that.
func (c *Cluster) keys(prefix string) ([]key, error) {
	first := c.registryKey(prefix)
	text, _ := base64.StdEncoding.DecodeString(first)
	text[len(text)-1]++
	within := map[string]string{"key": first, "range_end": base64.StdEncoding.EncodeToString(text)}
	var answer struct {
		Keys []key `json:"kvs"`
	}
	if err := c.askRegistry("range", within, &answer); err != nil {
		return nil, err
	}
	for i, k := range answer.Keys {
		name, _ := base64.StdEncoding.DecodeString(k.Name)
		value, _ := base64.StdEncoding.DecodeString(k.Value)
		answer.Keys[i].Name = strings.TrimPrefix(string(name), c.registryPrefix())
		answer.Keys[i].Value = string(value)
	}
	return answer.Keys, nil
}

func (c *Cluster) registryPrefix() string { return "/firefly/" + c.Config.Cluster.Name + "/" }

func (c *Cluster) registryKey(name string) string { return encoded(c.registryPrefix() + name) }

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// nameIn is the name in a member's record.
func nameIn(record string) string {
	var m struct {
		Name string `json:"name"`
	}
	json.Unmarshal([]byte(record), &m) //nolint:errcheck // no record has no name
	return m.Name
}

// askRegistry asks one of etcd after the other, until one answers.
func (c *Cluster) askRegistry(what string, question, answer any) error {
	text, err := json.Marshal(question)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var errs []error
	for _, at := range c.Config.Cluster.Etcd.Endpoints {
		got, err := client.Post("http://"+at+"/v3/kv/"+what, "application/json", bytes.NewReader(text))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		err = readAnswer(got, answer)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("clustertest: ask etcd to %s: %w", what, errors.Join(errs...))
}

func readAnswer(got *http.Response, answer any) error {
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return errors.New(got.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(got.Body).Decode(answer)
}
