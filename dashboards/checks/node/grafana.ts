// What a dashboard of ours may be, in Grafana's own types. The check writes each dashboard out as
// `const dashboard: Dashboard = {…}` and has the compiler look: a wrong type, an unknown key, a value that no list has.
import type * as schema from "@grafana/schema";
import type * as barChart from "@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen";
import type * as barGauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as dashboards from "@grafana/schema/dist/esm/raw/composable/dashboardlist/panelcfg/x/DashboardListPanelCfg_types.gen";
import type * as gauge from "@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as stateTimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as statusHistory from "@grafana/schema/dist/esm/raw/composable/statushistory/panelcfg/x/StatusHistoryPanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as text from "@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen";
import type * as timeSeries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON has no enums: each becomes the values that it stands for. Written as text first, because every number passes for
// a member of an enum of numbers.
type Plain<T> = T extends string
  ? string extends T
    ? string
    : `${T}`
  : T extends number
    ? `${number}` extends `${T}`
      ? number
      : `${T}` extends `${infer N extends number}`
        ? N
        : never
    : T extends boolean | null | undefined
      ? T
      : T extends readonly (infer E)[]
        ? Plain<E>[]
        : T extends object
          ? { [K in keyof T]: Plain<T[K]> }
          : T;

// The data source is PostgreSQL, whose query type the package does not have.
interface Query {
  refId: string;
  datasource: schema.DataSourceRef;
  editorMode: "code";
  format: "table" | "time_series";
  rawQuery: true;
  rawSql: string;
  hide?: boolean;
}

// The package leaves the options of a panel open; here they are those of its type.
type PanelOf<Type extends string, Options, Custom = Record<string, never>> = Plain<
  Omit<schema.Panel, "type" | "options" | "fieldConfig" | "targets"> & {
    options: Options;
    fieldConfig?: Omit<schema.FieldConfigSource, "defaults"> & {
      defaults: Omit<schema.FieldConfig, "custom"> & { custom?: Partial<Custom> };
    };
  }
> & { type: Type; targets?: Query[] };

// What earlier versions of Grafana read, the SDK still writes, and 13 passes over.
interface EarlierFooter {
  footer?: { show: false; countRows: false; reducer: [] };
}
interface EarlierVariable {
  auto?: false;
  auto_count?: number;
  auto_min?: string;
  definition?: string;
}

type Panel =
  | PanelOf<"barchart", barChart.Options, barChart.FieldConfig>
  | PanelOf<"bargauge", barGauge.Options>
  | PanelOf<"dashlist", dashboards.Options>
  | PanelOf<"gauge", gauge.Options>
  | PanelOf<"heatmap", heatmap.Options, heatmap.FieldConfig>
  | PanelOf<"stat", stat.Options>
  | PanelOf<"state-timeline", stateTimeline.Options, stateTimeline.FieldConfig>
  | PanelOf<"status-history", statusHistory.Options, statusHistory.FieldConfig>
  | PanelOf<"table", table.Options & EarlierFooter, table.FieldConfig>
  | PanelOf<"text", text.Options>
  | PanelOf<"timeseries", timeSeries.Options, timeSeries.FieldConfig>;

type Row = Plain<Omit<schema.RowPanel, "panels">> & { panels: Panel[] };

type Annotation = Plain<Omit<schema.AnnotationQuery, "target">> & { target?: Query };

export type Dashboard = Plain<Omit<schema.Dashboard, "annotations" | "panels" | "templating">> & {
  annotations: { list: Annotation[] };
  panels: (Panel | Row)[];
  templating: { list: (Plain<schema.VariableModel> & EarlierVariable)[] };
};
