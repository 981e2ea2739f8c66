package dingtalk

import "github.com/herald-push/herald/internal/provider"

// Request makes what Send would post, without a call.
func Request(p provider.Provider, to provider.Address, m *provider.Message) (body []byte, shortened bool, err error) {
	o, err := readOptions(m.Options)
	if err != nil {
		return nil, false, err
	}
	mobiles, err := readAddress(to.Token)
	if err != nil {
		return nil, false, err
	}
	return p.(*Provider).request(o, m, o.At.with(mobiles))
}
