// Package yaml stands in for the generated Go SDK's.
package yaml

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource refuses: the components that call it are not part of this build.
func RegisterResource(
	_ *pulumi.Context, _, _, _ string, _ pulumi.Input, _ ...pulumi.ResourceOption,
) (pulumi.CustomResource, error) {
	return nil, errors.New("this build of the provider has no component resources (ConfigGroup, ConfigFile, Chart)")
}
