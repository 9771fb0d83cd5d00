// Package kubernetes stands in for the generated Go SDK: what the provider's component resources
// (ConfigGroup, Chart) name of it, so that its sixty packages need not be compiled.
package kubernetes

import "reflect"

// UntypedArgs are the properties of an object of any kind.
type UntypedArgs map[string]any

// ElementType makes it an input.
func (UntypedArgs) ElementType() reflect.Type { return reflect.TypeFor[map[string]any]() }
