declare module "json-schema-test-suite" {
  export interface SuiteFile {
    readonly name: string;
    readonly optional: boolean;
    readonly schemas: readonly {
      readonly description: string;
      readonly schema: unknown;
      readonly tests: readonly {
        readonly description: string;
        readonly data: unknown;
        readonly valid: boolean;
      }[];
    }[];
  }
  export function draft4(): SuiteFile[];
}
