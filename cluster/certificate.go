package cluster

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// certificate is how long a death certificate is kept; absence says the same by then.
const certificate = 10 * time.Minute

// Certify declares incarnations dead: whoever saw the processes end lets others take over at once. They are certainly
// dead: a live one that reads its own certificate ends itself.
func Certify(ctx context.Context, o RegistryOptions, incarnations ...uint64) error {
	client, err := o.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	within, cancel := context.WithTimeout(ctx, 2*registryCall)
	defer cancel()
	lease, err := client.Grant(within, int64(certificate/time.Second))
	if err != nil {
		return fmt.Errorf("cluster: certify deaths: %w", err)
	}
	for _, n := range incarnations {
		text, election := incarnationText(n), o.prefix()+keyCoordinator
		held := clientv3.Compare(clientv3.Value(election), "=", text)
		_, err := client.Txn(within).Then(clientv3.OpPut(o.prefix()+keyDead+text, "", clientv3.WithLease(lease.ID)),
			clientv3.OpDelete(o.prefix()+keyMembers+text),
			clientv3.OpTxn([]clientv3.Cmp{held}, []clientv3.Op{clientv3.OpDelete(election)}, nil)).Commit()
		if err != nil {
			return fmt.Errorf("cluster: certify the death of %s: %w", text, err)
		}
	}
	return nil
}
