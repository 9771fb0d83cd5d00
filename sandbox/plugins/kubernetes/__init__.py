"""The offline `kubernetes` plugin: a thin layer over server-side apply, with waiting.

Covered: objects of any kind, custom ones included; names made up for the unnamed; previews by
dry run; updates under a field manager per resource; the official plugin's rules of replacement and
readiness; deletion that waits; refresh, `get` and import; `ignoreChanges`, `customTimeouts`; the
annotations `pulumi.com/skipAwait`, `timeoutSeconds`, `patchForce`, `patchFieldManager`,
`deletionPropagationPolicy` and `replaceUnready`; Secrets whose data is secret in the state; the
settings in `settings`. The API server's warnings are shown, where the official plugin drops them.

Not covered, and refused by name: Helm, YAML, kustomize, `…Patch` and `…List` resources, functions
(invokes), rendering to files, client-side apply, unreachable clusters treated as empty, and the
annotation `pulumi.com/waitFor`. A refresh does not judge readiness.

An object is looked up before it is first applied, so that one that is already there is an error;
the official plugin has the API server create it instead, and applies from the first update on.
"""
