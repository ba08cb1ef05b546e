terraform {
  required_providers {
    dbxcmk = {
      source  = "dbxcmk/dbxcmk"
      version = "~> 0.1"
    }
  }
}

# The credentials come from the environment: DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET of a service principal that
# is an account admin, and the default AWS credential chain.
provider "dbxcmk" {
  host       = "https://accounts.cloud.databricks.com"
  account_id = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11"
}
