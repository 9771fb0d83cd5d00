package networkpolicy

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"k8s.io/klog/v2"
)

// How the engine's rules hand a packet to it: by the queue statement of nftables, or where the
// kernel lacks it by the target NFQUEUE of iptables, which nftables' rules may hold, too.

const (
	byStatement = "statement"
	byTarget    = "target"
	byNothing   = "none"
)

var queueing atomic.Value // one of these, once it is known

func init() {
	http.HandleFunc("/queueing", func(answer http.ResponseWriter, _ *http.Request) {
		if way, known := queueing.Load().(string); known {
			fmt.Fprint(answer, way)
		} else {
			http.Error(answer, "not known yet", http.StatusServiceUnavailable)
		}
	})
}

func queueStatement(config Config) expr.Any {
	statement := &expr.Queue{Num: uint16(config.QueueID)}
	flags := uint16(0)
	if config.FailOpen {
		statement.Flag = expr.QueueFlagBypass
		flags = 1 // NFQ_FLAG_BYPASS
	}
	info := make(xt.Unknown, 8) // struct xt_NFQ_info_v3, padded
	for at, value := range []uint16{uint16(config.QueueID), 1, flags} {
		binary.NativeEndian.PutUint16(info[2*at:], value)
	}
	target := &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}
	switch {
	case accepted(statement):
		queueing.Store(byStatement)
	case accepted(target):
		queueing.Store(byTarget)
		return target
	default:
		queueing.Store(byNothing)
	}
	return statement
}

// accepted tells whether the kernel takes a rule with it, in a table that is never there.
func accepted(statement expr.Any) bool {
	nft, err := nftables.New()
	if err != nil {
		klog.Infof("no nftables: %v", err)
		return false
	}
	table := nft.AddTable(&nftables.Table{
		Name:   "kube-network-policies-trial",
		Family: nftables.TableFamilyINet,
	})
	chain := nft.AddChain(&nftables.Chain{
		Name:     "trial",
		Table:    table,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  nftables.ChainHookPostrouting,
		Priority: nftables.ChainPriorityFilter,
	})
	nft.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{statement}})
	nft.DelTable(table)
	err = nft.Flush()
	if err != nil {
		klog.V(2).Infof("the kernel refuses %T: %v", statement, err)
	}
	return err == nil
}
