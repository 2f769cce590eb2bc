package user

// KeepGroups is the annotation by which the container's processes have the groups of the
// caller beside their own; its value is of no account.
//
// Source: crun(1), "run.oci.keep_original_groups".
const KeepGroups = "run.oci.keep_original_groups"
